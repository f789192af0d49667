import type { Logger } from 'pino';
import {
  type AddressRefusal,
  type ArrivalRules,
  type HttpRefusal,
  judgeArrival,
  judgeRoute,
} from '../../internal/access/arrival.js';
import type { Identity } from '../../internal/auth/identity/identity.js';
import { CLOSE_REASONS, type CloseCode, type CloseReason } from '../../internal/close-codes.js';
import type { Config, RouteMatch, RouteTable } from '../../internal/config/config.js';
import { GatewayError } from '../../internal/errors.js';
import { methodFault, schemaFault } from '../../internal/exchange/handshake.js';
import { statusOf } from '../../internal/exchange/problem.js';
import type { ProtocolAdapter } from '../../internal/protocol/protocol.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import { checkHandshake } from '../../internal/request/handshake.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import { Admission, firstFit, negotiated, refusedFor } from '../../internal/session/opening/admission.js';
import { dialRequest } from '../../internal/session/opening/dial-request.js';
import { FirstBytesReader } from '../../internal/session/opening/first-bytes.js';
import type { Opening } from '../../internal/session/opening/opening.js';
import type { Plan } from '../../internal/session/opening/plan.js';
import { Refused } from '../../internal/session/opening/refused.js';
import { isDenial } from '../../internal/session/record.js';
import type { Destination } from '../../internal/upstream/pool/destination.js';
import { type DialRequest, Upstreams } from '../../internal/upstream/upstreams.js';
import { type Client, firstMessage, requestHead } from './client.js';
import { type Dialled, dialAll } from './dialling.js';
import { surroundings } from './surroundings.js';

/** How a client is turned away. */
export type Refusal =
  /** By what an HTTP route has against it, or because no route which fits is for the address. */
  | { readonly status: number; readonly why: string }
  | { readonly status: HttpRefusal }
  | {
      readonly reason: CloseReason;
      /** What the close frame says: a protocol can have codes of its own. */
      readonly told: CloseCode | undefined;
      /** For the operator; clients are told nothing of it. */
      readonly why: string | undefined;
      /** What an MQTT 5.0 client is told before the close frame (§3.2.2.2). */
      readonly connack: number | undefined;
      /** What a client of a protocol of text is told before the close frame. */
      readonly words: string | undefined;
    };

/** How far a client gets. What it does not reach is undefined. */
export interface Outcome {
  /** The routes that fit the path. */
  readonly matches: readonly RouteMatch[];
  readonly opening?: Opening;
  readonly plan?: Plan;
  /** Verified. */
  readonly identity?: Identity | undefined;
  /** Why it cannot be told whether the token is revoked; '': it can. */
  readonly revocationsUnknown?: string;
  readonly dial?: DialRequest;
  /** What its endpoints answer; undefined: they were not asked. */
  readonly dialled?: readonly Dialled[];
  /** Milliseconds since the epoch; Infinity: the token ends no session. */
  readonly expiresAtMs?: number;
  /** undefined: the client is let in. */
  readonly refusal?: Refusal;
}

/**
 * Leads a client through the gateway's own parts, from the opening handshake up to where the upstream would
 * be dialled (SPEC sections 4 to 8). Fetches the verification keys and reads the lists of revocations and
 * bans; the token cache is left alone.
 * @param log gets what the gateway would log.
 * @param dials whether the upstream is dialled too, as the client's; else none is touched.
 * @throws GatewayError ERR_CONFIG when the file of JWT_PUBLIC_KEY_FILE cannot be used.
 */
export async function rehearse(
  client: Client,
  config: Config,
  table: RouteTable,
  log: Logger,
  dials = false,
): Promise<Outcome> {
  const head = requestHead(client, config, table);
  let matches: readonly RouteMatch[] = [];
  const rules: ArrivalRules = {
    proxies: new TrustedProxies(config.opening.trustedProxies),
    origins: new AllowedOrigins(config.opening.allowedOrigins),
    subprotocolNames: config.credentials.subprotocolNames,
    match: (path, host) => {
      matches = table.match(path, host);
      return matches;
    },
    methodFault,
    schemaFault: (match, seen) => schemaFault(match, seen, config.credentials),
  };
  const opening = judgeArrival(head, checkHandshake(head), rules);
  if (typeof opening === 'number' || 'status' in opening || opening instanceof Error)
    return { matches, refusal: httpRefusal(opening) };
  const [first] = opening.matches;
  const unfit = first && judgeRoute(first, head, rules);
  if (unfit !== undefined) return { matches, refusal: httpRefusal(unfit) };
  const around = await surroundings(config, table, log);
  const { access, metrics } = around;
  const admission = new Admission(
    config,
    access,
    new Upstreams({ ...config.upstream, controlTimeoutMs: config.session.controlTimeoutMs }, metrics, log),
  );
  const plan = planFor(client, opening, admission, config);
  if (plan instanceof Refused)
    return { matches, opening, refusal: refusal(plan, undefined, negotiated(opening)?.adapter) };
  try {
    const revocationsUnknown = await around.start();
    const admitted = await admit(plan, admission);
    const { dial } = admitted;
    const dialled = dials && dial && (await dialAll(plan.match.route, dial, config, log));
    return { matches, opening, plan, revocationsUnknown, ...admitted, ...(dialled ? { dialled } : {}) };
  } finally {
    await around.stop();
  }
}

/** What the gateway makes of the handshake and, where it waits for them, of the first bytes. */
function planFor(client: Client, opening: Opening, admission: Admission, config: Config): Plan | Refused {
  const start = admission.start(opening, config.session.maxConnectBytes);
  if (!(start instanceof FirstBytesReader)) return start;
  // A client that no route serves is told so as soon as it says anything.
  const message = firstMessage(client) ?? (firstFit(opening, 'raw') === undefined ? '{}' : undefined);
  const late = new Error('no token in the handshake, and none in a first message');
  if (message === undefined) return new Refused('authTimeout', late);
  const first = start.add(Buffer.from(message), typeof message !== 'string');
  if (first.verdict === 'more') return new Refused('authTimeout', late);
  return admission.planFromFirstBytes(opening, first, start.subprotocol);
}

async function admit(
  plan: Plan,
  admission: Admission,
): Promise<Pick<Outcome, 'identity' | 'dial' | 'expiresAtMs' | 'refusal'>> {
  const { route } = plan.match;
  let identity: Identity | undefined;
  let destination: Destination | undefined;
  try {
    identity = await admission.identify(plan);
    admission.access.permitSession(route, identity, plan.opening.client.ip)?.release();
    admission.greetingToForward(plan, identity);
    destination = admission.destination(plan, identity);
    await admission.access.checkClaim(route, identity);
  } catch (thrown) {
    if (!(thrown instanceof Refused || thrown instanceof GatewayError)) throw thrown;
    return { identity, refusal: refusal(refusedFor(thrown), plan, plan.adapter) };
  }
  return {
    identity,
    dial: { ...dialRequest(plan, identity, admission.config.credentials), destination },
    expiresAtMs: admission.access.expiresAtMs(identity),
  };
}

function httpRefusal(cause: HttpRefusal | AddressRefusal | Error): Refusal {
  if (typeof cause === 'number') return { status: cause };
  return cause instanceof Error ? { status: statusOf(cause), why: cause.message } : cause;
}

function refusal(
  { reason: key, why, reply }: Refused,
  plan: Plan | undefined,
  adapter: ProtocolAdapter | undefined,
): Refusal {
  const reason: CloseReason = CLOSE_REASONS[key];
  const said = reply ?? plan?.greeting?.refusal(isDenial(reason) ? 'authentication' : 'unavailable');
  const isText = adapter?.saysText === true;
  return {
    reason,
    told: adapter?.closesWith(key) ?? reason.client,
    why: why?.message,
    connack: isText ? undefined : said?.at(3),
    words: isText ? said?.toString('utf8').split('\n', 2).join(' ') : undefined,
  };
}
