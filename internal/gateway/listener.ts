import type { ListenConfig } from '../config/config.js';
import type { HttpEndpoints } from './endpoints.js';
import type { Gate } from './gate.js';
import type { HttpRoutes } from './http-routes.js';

/** The public face: serves HTTP and hands WebSocket clients to sessions. */
export interface Listener {
  /**
   * Binds the address; exclusively, unless several workers share it.
   * @returns the port, which differs from the configured one when that is 0.
   * @throws GatewayError ERR_LISTEN
   */
  listen(): Promise<number>;
  /**
   * Reads the certificate files again, for new connections; those that are open stay.
   * @throws Error when the files cannot be used: then nothing has changed. GatewayError ERR_LISTEN
   */
  renewCertificate(): Promise<void>;
  /** The gateway drains: closes connections that wait for another request. */
  drain(): void;
  /** Takes no more connections; those that are open stay. */
  leave(): void;
  /** Stops listening and drops all connections. */
  close(): void;
}

export interface ListenerParts {
  readonly config: ListenConfig;
  /** Largest client message of any route: a listener may need it before the route is known. */
  readonly maxMessageBytes: number;
  readonly gate: Gate;
  readonly endpoints: HttpEndpoints;
  /** undefined: there are none. */
  readonly httpRoutes?: HttpRoutes | undefined;
}
