import type { CloseCode } from '../close-codes.js';
import type { MessageBudget } from '../ratelimit/message-budget.js';
import type { Cancellation } from '../upstream/upstreams.js';
import type { FirstBytesReader } from './first-bytes.js';
import type { Opening } from './opening.js';
import type { Plan } from './plan.js';
import type { Pump } from './pump.js';
import type { WaitingMessages } from './waiting.js';

/** A session's life; each state has only what it needs. */
export type SessionState =
  | {
      readonly name: 'new';
      /** Of a client that waits to be let in. */
      readonly opening?: Opening;
    }
  | { readonly name: 'awaiting-credentials'; readonly opening: Opening; readonly reader: FirstBytesReader }
  | { readonly name: 'authenticating'; readonly plan: Plan; readonly waiting: WaitingMessages }
  | {
      readonly name: 'dialing';
      readonly plan: Plan;
      readonly waiting: WaitingMessages;
      /** What goes upstream before all else. */
      readonly greeting: Buffer | undefined;
      readonly budget: MessageBudget | undefined;
      readonly cancellation: Cancellation;
    }
  | { readonly name: 'open'; readonly pump: Pump }
  | {
      readonly name: 'closing';
      /** What the client is told; undefined: it is just dropped. */
      readonly told: CloseCode | undefined;
      /**
       * Until when the client may take what the upstream said before its end, in milliseconds of the monotonic clock, as long
       * as it takes anything; undefined: it need not be waited for.
       */
      readonly patientUntilMs: number | undefined;
      /** Whether the client's close frame is answered when the upstream has ended too: what it still says passes. */
      awaitsUpstream: boolean;
    };

/** The state of that name. */
export type In<Name extends SessionState['name']> = Extract<SessionState, { name: Name }>;

export const NEW: SessionState = Object.freeze({ name: 'new' });
