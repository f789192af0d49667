import type { CloseReasonKey } from '../../close-codes.js';

/** Why a client is refused. `why` is for the log; the client is told what the close-code table says. */
export class Refused extends Error {
  override readonly name = 'Refused';

  /** @param reply the protocol's own refusal, sent before the close frame. */
  constructor(
    readonly reason: CloseReasonKey,
    readonly why?: Error,
    readonly reply?: Buffer,
  ) {
    super(reason);
  }
}
