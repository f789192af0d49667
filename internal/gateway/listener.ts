import type { ListenConfig } from '../config/config.js';
import type { HttpEndpoints } from './endpoints.js';
import type { Gate } from './gate.js';
import type { HttpRoutes } from './http-routes.js';

/** The public face: serves HTTP and hands WebSocket clients to sessions. */
export interface Listener {
  /**
   * Binds the address: exclusively, or with several workers so that each of them can.
   * @returns the port, which differs from the configured one when that is 0.
   * @throws GatewayError ERR_LISTEN
   */
  listen(): Promise<number>;
  /**
   * Shows new clients the certificate that the files hold now; those that are connected stay.
   * @throws Error when the files are of no use: then nothing has changed. GatewayError ERR_LISTEN
   */
  renewCertificate(): Promise<void>;
  /** New work is refused from now on: connections that only wait for another request are closed. */
  drain(): void;
  /** Takes no more connections; those that are there stay. */
  leave(): void;
  /** Stops listening and cuts off whoever is left. */
  close(): void;
}

export interface ListenerParts {
  readonly config: ListenConfig;
  /** Largest client message of any route: a listener may have to know it before the route is. */
  readonly maxMessageBytes: number;
  readonly gate: Gate;
  readonly endpoints: HttpEndpoints;
  /** undefined: there are none. */
  readonly httpRoutes?: HttpRoutes | undefined;
}
