import { printable, relativeTime } from '../line/words.js';
import type { Report } from './report.js';

const LABEL_CHARS = 14;

type Section = readonly [label: string, lines: readonly string[]];

/** A report for people, the verdict last. */
export function text(report: Report): string {
  return aligned([
    ['request', request(report)],
    ['routes', report.routes.map(({ entry, prefix, verdict }) => `${entry}. ${prefix}: ${verdict}`)],
    ['token', report.token === undefined ? [] : token(report.token)],
    ['identity', identity(report)],
    ['upstream', upstream(report)],
    ['limits', limits(report)],
    ['ends', report.endsAt === undefined ? [] : [report.endsAt + relativeTime(Date.parse(report.endsAt))]],
    ['log', report.log.map(shown)],
    ['dialled', dialled(report)],
    ['verdict', verdict(report)],
    ['fix', fix(report)],
  ]);
}

/** A label and its lines each; sections without any are left out. */
export function aligned(sections: readonly Section[]): string {
  return sections
    .filter(([, lines]) => lines.length > 0)
    .flatMap(([label, lines]) =>
      lines.map((line, at) => `${(at === 0 ? label : '').padEnd(LABEL_CHARS)}${line}\n`),
    )
    .join('');
}

function dialled({ dialled: endpoints = [] }: Report): string[] {
  return endpoints.map(({ upstream: name, ms, failure }) =>
    printable(`${name}: ${failure === undefined ? `answered 101 within ${ms} ms` : failure}`),
  );
}

/** What to do about it: about each endpoint that does not answer, where it was asked. */
function fix({ dialled: endpoints = [], fix: told }: Report): string[] {
  const ofEndpoints = new Set(endpoints.flatMap(({ fix: one }) => one ?? []));
  return ofEndpoints.size > 0 ? [...ofEndpoints] : told === undefined ? [] : [told];
}

function verdict({ refusal, token, dialled: endpoints = [] }: Report): string[] {
  if (refusal === undefined) {
    const failed = endpoints.filter(({ failure }) => failure !== undefined).length;
    return [
      token === undefined ? 'let in, without a token' : 'let in',
      ...(failed === 0 ? [] : [`but ${failed} of ${endpoints.length} endpoints do not answer`]),
    ];
  }
  if ('httpStatus' in refusal) return [`refused: HTTP ${refusal.httpStatus}`, `why: ${refusal.why}`];
  const { code, text, name, mqttReasonCode, said, meaning, why } = refusal;
  return [
    `refused: ${code} ${shown(text)} (${name})`,
    ...(mqttReasonCode === undefined ? [] : [`before it an MQTT 5.0 client gets CONNACK ${mqttReasonCode}`]),
    ...(said === undefined ? [] : [`before it the client is told ${shown(said)}`]),
    `means: ${meaning}`,
    ...(why === undefined ? [] : [`why: ${printable(why)}`]),
  ];
}

function request({ request: { path, host, from, protocol, origin, allowedOrigins } }: Report): string[] {
  const allowed = typeof allowedOrigins === 'string' ? allowedOrigins : allowedOrigins.join(', ');
  return [
    `${protocol} client at ${shown(path)}, Host ${shown(host)}, from ${printable(from)}`,
    origin === undefined
      ? 'no Origin, as of a client that is no browser (--origin sends one)'
      : `Origin ${shown(origin)}; allowed: ${allowed}`,
  ];
}

function token({ place, verified, keys, provider, says, wanted }: NonNullable<Report['token']>): string[] {
  const state = verified ? 'verified' : 'not verified: what it says is only claimed';
  const claims = Object.entries(says ?? {}).map(([name, value]) => {
    const rule = Object.entries(wanted).find(([other]) => other === name);
    const expected =
      rule === undefined ? '' : rule[1] === undefined ? ' (not checked)' : ` (wanted: ${shown(rule[1])})`;
    const time =
      ['iat', 'nbf', 'exp'].includes(name) && typeof value === 'number' ? relativeTime(value * 1000) : '';
    return `${name.padEnd(20)}${value === undefined ? 'none' : shown(value)}${time}${expected}`;
  });
  return [
    `in the ${printable(place ?? '')}, ${state}`,
    `keys: ${printable(keys)}`,
    ...(provider === undefined ? [] : [`asked: ${printable(provider)}`]),
    ...claims,
  ];
}

function identity({ identity: who, roles, scopes, revoked, once }: Report): string[] {
  if (who === undefined) return [];
  return [
    `${shown(who.sub)}, roles: ${who.roles.map(shown).join(', ') || 'none'}`,
    ...(scopes === undefined || scopes.required.length === 0
      ? []
      : [`the route wants all of the scopes: ${scopes.required.map(shown).join(', ')}`]),
    ...(roles === undefined || roles.required.length === 0
      ? []
      : [`the route wants one of: ${roles.required.map(shown).join(', ')}`]),
    `revoked: ${revoked}`,
    ...(once === undefined ? [] : [`the route takes each token once; used: ${once}`]),
  ];
}

function upstream({ upstream: to }: Report): string[] {
  if (to === undefined) return [];
  return [
    ...to.endpoints.map((endpoint, at) => printable(endpoint + weightText(to.weights, at))),
    ...(to.endpoints.length > 1 ? [`balance: ${to.balance}`] : []),
    ...(to.subprotocols.length > 0 ? [`sub-protocols offered: ${to.subprotocols.join(', ')}`] : []),
    ...to.headers.map(([name, value]) => `${name}: ${value}`).map(printable),
    ...(to.forwardHeaders.length > 0 ? [`passed on if sent: ${to.forwardHeaders.join(', ')}`] : []),
    ...(to.mqttRoles === 'none' ? [] : [`roles reach the broker by mqtt.roles: ${to.mqttRoles}`]),
  ];
}

function limits({ limits: of }: Report): string[] {
  if (of === undefined) return [];
  const { messages } = of;
  const rate =
    typeof messages === 'string' ? messages : `${messages.perSecond} a second, burst ${messages.burst}`;
  const at = (limit: number) => (limit === 0 ? 'no limit' : String(limit));
  return [
    `messages: ${rate} (${printable(of.messagesFrom)}), bucket of ${printable(of.bucket)}, ${of.sharedByReplicas ? 'over all replicas' : 'on this host'}`,
    `bytes a second: ${of.bytesPerSecond}; largest message: ${of.maxMessageBytes} bytes`,
    `connections of a process: ${at(of.maxConnections)}; of an address: ${at(of.maxConnectionsPerIp)}; of a subject: ${at(of.maxConnectionsPerSub)} (how many there are now: GET /admin/sessions)`,
    `idle timeout: ${seconds(of.idleTimeoutSeconds)}; write timeout: ${seconds(of.writeTimeoutSeconds)}; time for a dial: ${seconds(of.dialTimeoutSeconds)}`,
    ...(typeof of.addresses === 'string'
      ? []
      : [`addresses: allow ${shown(of.addresses.allow)}, deny ${shown(of.addresses.deny)}`]),
  ];
}

function seconds(value: number): string {
  return value === 0 ? 'off' : `${value} s`;
}

/** Said where the endpoints differ in it. */
function weightText(weights: readonly number[], at: number): string {
  const weight = weights[at] ?? 1;
  return weights.every((other) => other === weight) ? '' : `, weight ${weight}`;
}

/** Longest value that is shown, in characters. */
const MAX_SHOWN_CHARS = 300;

/** Anything as JSON of bounded length that a terminal does not take for commands. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'none';
  return printable(json.length <= MAX_SHOWN_CHARS ? json : `${json.slice(0, MAX_SHOWN_CHARS)}…`);
}
