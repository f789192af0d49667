import { GatewayError } from '../../errors.js';
import { isLocalShortage } from '../socket/local-shortage.js';

/** A dial attempt that did not end in an open connection. */
export class DialFailure extends GatewayError {
  /**
   * @param status of the response; undefined: there was none, or what came was not a response.
   * @param fault whether TCP or TLS failed, or the opening handshake behind them.
   */
  constructor(
    message: string,
    readonly status: number | undefined,
    readonly fault: 'unreachable' | 'handshake',
    options?: { cause?: unknown },
  ) {
    super('ERR_DIAL_FAILED', message, options);
  }

  /**
   * Whether the endpoint turned down this very request (302 to a login, 401, 404, …) and may be well for
   * others: were it held against the endpoint, one client could open the circuit for all of them (SPEC
   * section 8: never what a client does).
   */
  get isAboutTheRequest(): boolean {
    return this.status !== undefined && this.status >= 200 && this.status < 500;
  }

  /**
   * Whether the gateway itself had no means to dial: clients can bring that about, and no
   * endpoint is worse for it.
   */
  get isLocal(): boolean {
    return isLocalShortage(this.cause);
  }

  /** Whether a health check is content with it (SPEC section 8): any complete answer below 500. */
  get isHealthy(): boolean {
    return this.status !== undefined && this.status !== 101 && this.status < 500;
  }
}
