import type { SessionConfig, UpstreamRoute } from '../../config/config.js';

/** The configuration made for each route, and what it was made from. */
const made = new WeakMap<UpstreamRoute, { readonly base: SessionConfig; readonly config: SessionConfig }>();

/** The configuration of sessions on a route: the gateway's, with the route's own settings in place. */
export function sessionConfigOf(route: UpstreamRoute, base: SessionConfig): SessionConfig {
  const { maxMessageBytes } = route;
  const { idleMs, writeMs } = route.kind === 'websocket' ? route.timeouts : NO_TIMEOUTS;
  if (maxMessageBytes === undefined && idleMs === undefined && writeMs === undefined) return base;
  const known = made.get(route);
  if (known?.base === base) return known.config;
  const config = Object.freeze({
    ...base,
    maxMessageBytes: maxMessageBytes ?? base.maxMessageBytes,
    idleTimeoutMs: idleMs ?? base.idleTimeoutMs,
    writeTimeoutMs: writeMs ?? base.writeTimeoutMs,
  });
  made.set(route, { base, config });
  return config;
}

/** The timeouts of an HTTP route are for its exchanges, not for sessions. */
const NO_TIMEOUTS = { idleMs: undefined, writeMs: undefined } as const;
