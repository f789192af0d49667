import { GatewayError } from '../errors.js';

/** A dial attempt that did not end in an open connection. */
export class DialFailure extends GatewayError {
  /**
   * @param status of the response; undefined: there was none, or what came was not a response.
   */
  constructor(
    message: string,
    readonly status: number | undefined,
    options?: { cause?: unknown },
  ) {
    super('ERR_DIAL_FAILED', message, options);
  }

  /**
   * Whether the endpoint is well: it gave a complete answer below 500. Such an answer is about the request (401, 404, …);
   * were it held against the endpoint, one client could open the circuit for all others (SPEC section 8: never what a
   * client does). The same answers count as healthy in a health check.
   */
  get endpointIsWell(): boolean {
    return this.status !== undefined && this.status !== 101 && this.status < 500;
  }
}
