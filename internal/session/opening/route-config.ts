import type { SessionConfig, UpstreamRoute } from '../../config/config.js';

/** What routes make of the configuration, each for one of them. */
const made = new WeakMap<UpstreamRoute, { readonly base: SessionConfig; readonly config: SessionConfig }>();

/** The configuration of sessions on a route: the gateway's own, but for what the route says itself. */
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

/** Those of an HTTP route are for its exchanges. */
const NO_TIMEOUTS = { idleMs: undefined, writeMs: undefined } as const;
