import { GatewayError } from '../../errors.js';
import { isLocalShortage } from '../socket/local-shortage.js';

/** A dial attempt that did not end in an open connection. */
export class DialFailure extends GatewayError {
  /**
   * @param status of the response; undefined: there was none, or what came was not a response.
   * @param fault whether TCP or TLS failed, or the opening handshake after them.
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
   * Whether the endpoint refused this request alone (302 to a login, 401, 404, …) and may serve others: if
   * that counted as a fault, one client could open the circuit for all (SPEC section 8: never what a client
   * does).
   */
  get isAboutTheRequest(): boolean {
    return this.isAnswer && (this.status ?? 0) < 500;
  }

  /** Whether the endpoint answered as an HTTP server does that takes no handshake. */
  get isAnswer(): boolean {
    return this.status !== undefined && this.status >= 200;
  }

  /** Whether the dial failed for want of the gateway's own resources; see `isLocalShortage`. */
  get isLocal(): boolean {
    return isLocalShortage(this.cause);
  }

  /** Whether a health check takes it for healthy (SPEC section 8): any complete answer below 500. */
  get isHealthy(): boolean {
    return this.status !== undefined && this.status !== 101 && this.status < 500;
  }
}
