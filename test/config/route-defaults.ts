import type { HttpRoute, WebSocketRoute } from '../../internal/config/config.js';
import { NO_CLIENT_RULES, NO_TOKEN_RULES } from '../../internal/config/config.js';
import type { RoutesContext } from '../../internal/config/routes/routes.js';

/** What routes are read beside when the environment names keys for tokens, and no upstreams. */
export const NO_BACKENDS: RoutesContext = {
  rawBackendUrl: undefined,
  mqttBackendUrl: undefined,
  backendGiven: false,
  keySourceGiven: true,
};

/** The part of each route that it has to say itself. */
type Said = 'prefix' | 'upstreams' | 'weights';

const EITHER_DEFAULTS = {
  fallback: false,
  forwardToken: true,
  keepGreetingToken: false,
  protocol: undefined,
  copySubProtocol: false,
  auth: 'required',
  requireRoles: [],
  tokens: NO_TOKEN_RULES,
  clients: NO_CLIENT_RULES,
  forwardHeaders: [],
  rateLimit: undefined,
  balance: 'round-robin',
  health: undefined,
  onRemove: 'keep',
  tls: undefined,
  mqttRoles: 'none',
  schemas: undefined,
  renew: false,
  maxMessageBytes: undefined,
} satisfies Partial<WebSocketRoute>;

/** What a WebSocket route is where it says nothing else, as documented. */
export const WEBSOCKET_DEFAULTS: Omit<WebSocketRoute, Said> = {
  ...EITHER_DEFAULTS,
  kind: 'websocket',
  preserveQuery: false,
  appendPath: false,
  timeouts: { connectMs: undefined, idleMs: undefined, writeMs: undefined },
};

/** The same of whatever answers HTTP requests, upstreams or none. */
export const EXCHANGE_DEFAULTS = {
  methods: undefined,
  requestHeaders: { set: [], remove: [] },
  responseHeaders: { set: [], remove: [] },
  securityHeaders: true,
  requestLimit: undefined,
  cors: undefined,
  maxBodyBytes: 10_485_760,
} satisfies Partial<HttpRoute>;

/** The same of an HTTP route. */
export const HTTP_DEFAULTS: Omit<HttpRoute, Said> = {
  ...EITHER_DEFAULTS,
  ...EXCHANGE_DEFAULTS,
  kind: 'http',
  preserveQuery: true,
  appendPath: true,
  preserveHost: false,
  webSocket: true,
  timeouts: { connectMs: 5_000, answerMs: 60_000, idleMs: 60_000 },
};
