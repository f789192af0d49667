import type { Protocol, UpstreamRoute } from '../../config/config.js';
import { claimText, percentEncode, roleList } from '../../request/claim-text.js';
import { headerName } from '../../request/header-names.js';
import { isOwnHeader } from '../../request/own-headers.js';
import type { TraceContext } from '../../telemetry/traces/trace-context.js';
import { changesOf } from '../header-changes.js';

/** One header line. */
export type HeaderLine = readonly [name: string, value: string];

/** What is known of a client and may be sent upstream. */
export interface RequestFacts {
  readonly protocol: Protocol;
  /** undefined: a public route and no token. */
  readonly identity:
    | {
        readonly sub: string;
        readonly preferredUsername: string;
        readonly roles: readonly string[];
      }
    | undefined;
  /** The verified token as it came, without `Bearer `. */
  readonly token: string | undefined;
  readonly client: {
    readonly ip: string;
    readonly proto: string;
    readonly host: string;
    readonly requestId: string;
  };
  /** The client's header lines by lower-case name, one character for each byte. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The client's cookies without the token cookie; undefined: none. */
  readonly cookie: string | undefined;
  /** From trusted proxies only, never a client's own; undefined: none. */
  readonly traceContext?: TraceContext | undefined;
  /** Of the verified token, for header templates; undefined: there is none. */
  readonly claims?: (() => Readonly<Record<string, unknown>> | undefined) | undefined;
}

/** The header lines of a dial for a route beyond those of the opening handshake (SPEC sections 8 and 17). */
export function dialHeaders(facts: RequestFacts, route: UpstreamRoute): HeaderLine[] {
  if (route.kind !== 'http') return upstreamHeaders(facts, route.forwardHeaders);
  // The upstream of an HTTP route gets the client's identity as with its requests.
  const passing = route.forwardHeaders.filter((name) => headerName(name).passage !== 'ours');
  // Behind an HTTP route there is no broker, whatever protocol its client uses.
  const lines = upstreamHeaders(facts, passing, true);
  lines.push(['X-Real-IP', printable(facts.client.ip)]);
  const changes = changesOf(route.requestHeaders);
  if (changes.none) return lines;
  const { identity, claims = () => undefined, client } = facts;
  const flat = changes.applyToRequest(lines.flat(), { identity, claims, requestId: client.requestId });
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? '', flat[2 * at + 1] ?? '']);
}

/**
 * The identity headers (SPEC section 8).
 * @param forwardHeaders lower-case names of client headers that the route passes on.
 * @param readsThem whether the upstream reads them: an MQTT broker takes the user from the CONNECT.
 */
export function upstreamHeaders(
  facts: RequestFacts,
  forwardHeaders: readonly string[],
  readsThem = facts.protocol !== 'mqtt',
): HeaderLine[] {
  const { client } = facts;
  const lines: HeaderLine[] = [
    ['X-Forwarded-For', printable(client.ip)],
    ['X-Forwarded-Proto', printable(client.proto)],
    ['X-Forwarded-Host', printable(client.host)],
    ['X-Request-Id', printable(client.requestId)],
  ];
  if (facts.traceContext !== undefined) pushTraceContext(lines, facts.traceContext);
  if (readsThem) pushIdentity(lines, facts);
  for (const name of forwardHeaders) pushForwarded(lines, name, facts);
  return lines;
}

function pushTraceContext(lines: HeaderLine[], { traceparent, tracestate }: TraceContext): void {
  lines.push(['traceparent', traceparent]);
  if (tracestate !== undefined) lines.push(['tracestate', tracestate]);
}

function pushIdentity(lines: HeaderLine[], { identity, token }: RequestFacts): void {
  if (token !== undefined) lines.push(['Authorization', `Bearer ${printable(token)}`]);
  if (identity === undefined) return;
  lines.push(
    ['X-User-Id', claimText(identity.sub)],
    ['X-User-Name', claimText(identity.preferredUsername)],
    ['X-User-Roles', roleList(identity.roles)],
  );
}

function pushForwarded(lines: HeaderLine[], name: string, facts: RequestFacts): void {
  if (name === 'cookie') {
    if (facts.cookie !== undefined) lines.push([name, facts.cookie]);
    return;
  }
  if (isOwnHeader(name)) return;
  for (const value of facts.headers.get(name) ?? []) lines.push([name, value]);
}

/** Values that are printable ASCII unless a client tries to inject something. */
function printable(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return text.replace(/[^\x20-\x7e]+/g, percentEncode);
}
