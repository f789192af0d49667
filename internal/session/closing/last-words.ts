import { CLOSE_REASONS, type CloseReasonKey } from '../../close-codes.js';
import type { LastWords } from '../client-socket.js';
import { isDenial } from '../record.js';
import { adapterOf, type SessionState } from '../session-state.js';

/**
 * What a client is told in its protocol's own words, right before the close frame: for MQTT a CONNACK where
 * it is refused, a DISCONNECT where it is known that no packet is under way.
 * @param state the one that its session ends in.
 * @param reply what it has coming for the way it began.
 */
export function lastWords(
  state: SessionState,
  key: CloseReasonKey,
  reply: Buffer | undefined,
): LastWords | undefined {
  if (state.name === 'open') {
    const payload = state.pump.lastWords(key);
    return payload && { payload, isBinary: true };
  }
  const adapter = adapterOf(state);
  const refusing =
    state.name === 'authenticating' || state.name === 'dialing' ? state.plan.greeting : adapter;
  const payload =
    reply ?? refusing?.refusal?.(isDenial(CLOSE_REASONS[key]) ? 'authentication' : 'unavailable');
  return payload && { payload, isBinary: adapter?.saysText !== true };
}
