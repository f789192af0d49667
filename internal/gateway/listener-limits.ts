import type { RouteTable } from '../config/config.js';
import { hasHttpRoutes, largestMessageBytes } from '../config/routes/table.js';
import { GatewayError } from '../errors.js';
import type { ListenerChoice } from './choice.js';

/** What a listener can serve, which was made for the routes at start. */
export interface ListenerLimits {
  readonly http: boolean;
  /** Largest client message. */
  readonly messageBytes: number;
}

/** The listener `node` takes any routes. */
export const NO_LIMITS: ListenerLimits = { http: true, messageBytes: Number.POSITIVE_INFINITY };

/**
 * @param table the one that the listener is made for.
 * @param maxMessageBytes of routes without one of their own.
 */
export function listenerLimits(
  kind: ListenerChoice['kind'],
  table: RouteTable,
  maxMessageBytes: number,
): ListenerLimits {
  return kind === 'node'
    ? NO_LIMITS
    : { http: false, messageBytes: largestMessageBytes(table, maxMessageBytes) };
}

/**
 * What both of two listeners can serve: each worker's is made for the route table in effect when it starts.
 */
export function commonLimits(one: ListenerLimits, other: ListenerLimits): ListenerLimits {
  return {
    http: one.http && other.http,
    messageBytes: Math.min(one.messageBytes, other.messageBytes),
  };
}

/** @throws GatewayError ERR_CONFIG when the listener cannot serve a new route table. */
export function assertServes({ http, messageBytes }: ListenerLimits, table: RouteTable): void {
  if (!http && hasHttpRoutes(table))
    throw new GatewayError('ERR_CONFIG', 'HTTP routes need the listener node: restart the gateway');
  if (largestMessageBytes(table, 0) > messageBytes)
    throw new GatewayError(
      'ERR_CONFIG',
      `the listener uws was started for messages of ${messageBytes} bytes at most: for a larger maxMessageBytes restart the gateway`,
    );
}
