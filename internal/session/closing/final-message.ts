import { CLOSE_REASONS, type CloseReasonKey } from '../../close-codes.js';
import type { FinalMessage } from '../client-socket.js';
import { isDenial } from '../record.js';
import { adapterOf, type SessionState } from '../session-state.js';

/**
 * The message of a client's own protocol that is sent right before the close frame: for MQTT a CONNACK that
 * refuses it, or a DISCONNECT if no packet is under way.
 * @param state the session's last one before `closing`.
 * @param reply what the protocol answers to the first bytes of a client that is refused for them.
 */
export function finalMessage(
  state: SessionState,
  key: CloseReasonKey,
  reply: Buffer | undefined,
): FinalMessage | undefined {
  if (state.name === 'open') {
    const payload = state.pump.finalMessage(key);
    return payload && { payload, isBinary: true };
  }
  const adapter = adapterOf(state);
  const refusing =
    state.name === 'authenticating' || state.name === 'dialing' ? state.plan.greeting : adapter;
  const payload =
    reply ?? refusing?.refusal?.(isDenial(CLOSE_REASONS[key]) ? 'authentication' : 'unavailable');
  return payload && { payload, isBinary: adapter?.saysText !== true };
}
