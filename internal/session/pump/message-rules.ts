import { type CallRules, judgeCalls } from '../../protocol/json-rpc.js';
import { readRenewal, renewalAnswer } from '../../protocol/renewal.js';
import type { RenewalOutcome } from '../renewal.js';

/**
 * Looks at a client's message before it is forwarded.
 * @param payload valid during the call only.
 * @param tell sends the client a message, now or later; does nothing once the session is over.
 * @returns whether the rule has taken the message, which does not go upstream then.
 */
export type MessageRule = (payload: Uint8Array, isBinary: boolean, tell: (answer: string) => void) => boolean;

/**
 * Checks JSON-RPC calls against the schemas of the route (SPEC section 20): an invalid one is answered here.
 */
export function callRule(rules: CallRules): MessageRule {
  return (payload, _isBinary, tell) => {
    const refusal = judgeCalls(payload, rules);
    if (refusal === undefined) return false;
    if (refusal.answer !== undefined) tell(refusal.answer);
    return true;
  };
}

/**
 * Takes messages with another token for the session (SPEC section 24), valid or not. Answers are sent in the
 * order of the requests: one that comes while another is being verified is answered "too often", after it.
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
