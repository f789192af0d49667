import { type CallRules, judgeCalls } from '../../protocol/json-rpc.js';
import { readRenewal, renewalAnswer } from '../../protocol/renewal.js';
import type { RenewalOutcome } from '../renewal.js';

/**
 * Looks at a client's message before it is forwarded.
 * @param payload valid during the call only.
 * @param tell says something to the client, now or later; nothing once the session is over.
 * @returns whether the message is not for the upstream.
 */
export type MessageRule = (payload: Uint8Array, isBinary: boolean, tell: (answer: string) => void) => boolean;

/** Calls of JSON-RPC against the schemas of the route (SPEC section 20): a bad one is answered here. */
export function callRule(rules: CallRules): MessageRule {
  return (payload, _isBinary, tell) => {
    const refusal = judgeCalls(payload, rules);
    if (refusal === undefined) return false;
    if (refusal.answer !== undefined) tell(refusal.answer);
    return true;
  };
}

/**
 * Another token for the session (SPEC section 24): good or bad, its message is the gateway's. The
 * answers come in the order of the requests: one that comes while another is looked at comes too often,
 * and is told so behind it.
 */
export function renewalRule(renew: (token: string) => Promise<RenewalOutcome>): MessageRule {
  let isUnderWay = false;
  let tooOften = 0;
  return (payload, isBinary, tell) => {
    const renewal = isBinary ? undefined : readRenewal(payload);
    if (renewal === undefined) return false;
    if (isUnderWay) {
      tooOften++;
      return true;
    }
    isUnderWay = true;
    void renew(renewal.token).then((outcome) => {
      isUnderWay = false;
      tell(renewalAnswer(outcome.kind === 'renewed' ? outcome.exp : undefined));
      for (; tooOften > 0; tooOften--) tell(renewalAnswer(undefined));
    });
    return true;
  };
}
