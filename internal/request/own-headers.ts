/** Of one connection alone (RFC 9110 §7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** What the gateway says itself, or decides about. */
const SET_HERE = [
  'authorization',
  'content-length',
  'expect',
  'host',
  'traceparent',
  'tracestate',
  'x-request-id',
];

/** Whole families of the latter. */
const FAMILIES = /^(?:x-user-|x-forwarded-|sec-websocket-)/;

const OURS: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...SET_HERE]);

/**
 * Whether a header is the gateway's own: no client's line of that name passes to an upstream, whatever a
 * route says. Servers that turn header names into variables take X_User_Roles, X.User.Roles and
 * X-User-Roles for one: so do we.
 * @param name in any case.
 */
export function isOwnHeader(name: string): boolean {
  const alike = spelledAlike(name);
  return OURS.has(alike) || FAMILIES.test(alike);
}

/** How a message is framed and where it goes. */
const FRAMING: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'content-length', 'expect', 'host']);

/**
 * Whether a header says how a message is framed or where it goes, in any spelling: not even a route's to
 * change, as that is how requests are smuggled.
 */
export function isFramingHeader(name: string): boolean {
  const alike = spelledAlike(name);
  return FRAMING.has(alike) || alike.startsWith('sec-websocket-');
}

function spelledAlike(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z\d]/g, '-');
}
