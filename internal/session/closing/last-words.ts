import type { CloseReason } from '../../close-codes.js';
import type { LastWords } from '../client-socket.js';
import { isDenial } from '../record.js';
import { adapterOf, type SessionState } from '../session-state.js';

/**
 * What a refused client is told in its protocol's own words, right before the close
 * frame: a CONNACK, for MQTT.
 * @param state the one that its session ends in.
 * @param reply what it has coming for the way it began.
 */
export function lastWords(
  state: SessionState,
  reason: CloseReason,
  reply: Buffer | undefined,
): LastWords | undefined {
  const adapter = adapterOf(state);
  const refusing =
    state.name === 'authenticating' || state.name === 'dialing' ? state.plan.greeting : adapter;
  const payload = reply ?? refusing?.refusal?.(isDenial(reason) ? 'authentication' : 'unavailable');
  return payload && { payload, isBinary: adapter?.saysText !== true };
}
