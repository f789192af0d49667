import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Access } from '../../internal/access/access.js';
import { type HttpRefusal, judgeArrival } from '../../internal/access/arrival.js';
import { admitsAddress } from '../../internal/access/client-addresses.js';
import { Targets } from '../../internal/access/targets/targets.js';
import { createStores } from '../../internal/app/stores.js';
import { Authenticator } from '../../internal/auth/authenticator.js';
import { Bans } from '../../internal/auth/bans/bans.js';
import type { Identity } from '../../internal/auth/identity/identity.js';
import { AskedProvider } from '../../internal/auth/introspection/asked-provider.js';
import { Claims, MemoryClaims } from '../../internal/auth/once/claims.js';
import { Revocations } from '../../internal/auth/revocations/revocations.js';
import { MemoryTokenCache } from '../../internal/auth/token-cache/memory.js';
import { TieredTokenCache } from '../../internal/auth/token-cache/tiered.js';
import { TrustedIssuers } from '../../internal/auth/trusted-issuers.js';
import { CLOSE_REASONS, type CloseReason } from '../../internal/close-codes.js';
import type { Config, RouteMatch, RouteTable } from '../../internal/config/config.js';
import { sessionMatches } from '../../internal/config/routes/table.js';
import { GatewayError } from '../../internal/errors.js';
import { ConnectionSlots } from '../../internal/ratelimit/connection-limits.js';
import { FailedLogins } from '../../internal/ratelimit/failed-logins.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import { checkHandshake } from '../../internal/request/handshake.js';
import type { RequestHead } from '../../internal/request/head.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import { Admission, firstFit, negotiated, refusedFor } from '../../internal/session/admission.js';
import { dialRequest } from '../../internal/session/dial-request.js';
import { FirstBytesReader } from '../../internal/session/first-bytes.js';
import type { Opening } from '../../internal/session/opening.js';
import type { Plan } from '../../internal/session/plan.js';
import { isDenial } from '../../internal/session/record.js';
import { Refused } from '../../internal/session/refused.js';
import type { SharedList } from '../../internal/store/agreement/shared-list.js';
import { Metrics } from '../../internal/telemetry/metrics.js';
import type { Destination } from '../../internal/upstream/pool/destination.js';
import { type DialRequest, Upstreams } from '../../internal/upstream/upstreams.js';
import { type Client, firstMessage, requestHead } from './client.js';
import { type Dialled, dialAll } from './dialling.js';

/** How a client is turned away. */
export type Refusal =
  | {
      readonly status: HttpRefusal;
      /** The address that no route which fits is for; undefined: it is not that. */
      readonly address?: string | undefined;
    }
  | {
      readonly reason: CloseReason;
      /** For the operator; clients are told nothing of it. */
      readonly why: string | undefined;
      /** What an MQTT 5.0 client is told before the close frame (§3.2.2.2). */
      readonly connack: number | undefined;
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

/** Time for the list of revocations. */
const LOAD_LIMIT_MS = 5_000;

/**
 * Leads a client through the gateway's own parts, from the opening handshake up to where the upstream would be dialled
 * (SPEC sections 4 to 8). Fetches the verification keys and reads the lists of revocations and bans; the token cache is left
 * alone.
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
  const proxies = new TrustedProxies(config.opening.trustedProxies);
  const opening = judgeArrival(head, checkHandshake(head), {
    proxies,
    origins: new AllowedOrigins(config.opening.allowedOrigins),
    subprotocolNames: config.credentials.subprotocolNames,
    match: (path, host) => {
      matches = table.match(path, host);
      return matches;
    },
  });
  if (typeof opening === 'number')
    return { matches, refusal: handshakeRefusal(opening, matches, proxies, head) };
  const metrics = new Metrics(0);
  const keys = TrustedIssuers.create(config.verification, log, metrics);
  const stores = await createStores(config, metrics, log);
  const revocations = new Revocations({
    ttlMs: config.revocationTtlMs,
    log,
    store: undefined,
    counter: metrics.revocations,
  });
  const bans = new Bans({ list: undefined, log, counter: metrics.bans });
  const cache = new TieredTokenCache(new MemoryTokenCache(0), undefined, metrics);
  const targets = new Targets(log);
  const provider = AskedProvider.of(config.verification, keys, log, metrics);
  const access = new Access({
    targets,
    config: config.verification,
    authenticator: new Authenticator(
      config.verification,
      keys,
      cache,
      metrics,
      undefined,
      provider?.introspection,
    ),
    revocations,
    bans,
    failedLogins: new FailedLogins(),
    slotsPerSub: new ConnectionSlots(config.opening).perSub,
    slotsPerToken: new ConnectionSlots(config.opening).perToken,
    claims: new Claims(new MemoryClaims()),
    limiter: new Limiter({ config: config.rateLimit, shared: undefined }),
  });
  const admission = new Admission(
    config,
    access,
    new Upstreams({ ...config.upstream, controlTimeoutMs: config.session.controlTimeoutMs }, metrics, log),
  );
  const plan = planFor(client, opening, admission, config);
  if (plan instanceof Refused) return { matches, opening, refusal: refusal(plan, undefined) };
  try {
    await Promise.all([keys.start(), stores.start(), targets.apply(table.routes)]);
    const [revocationsUnknown] = await Promise.all([
      learnAll(stores.revocations, (revocation) => revocations.learn(revocation)),
      learnAll(stores.bans, (ban) => bans.records.learn(ban)),
    ]);
    const admitted = await admit(plan, admission);
    const { dial } = admitted;
    const dialled = dials && dial && (await dialAll(plan.match.route, dial, config, log));
    return { matches, opening, plan, revocationsUnknown, ...admitted, ...(dialled ? { dialled } : {}) };
  } finally {
    keys.stop();
    provider?.stop();
    targets.stop();
    await stores.stop();
  }
}

/** A 403 is about the Origin, unless the route is not for the address. */
function handshakeRefusal(
  status: HttpRefusal,
  matches: readonly RouteMatch[],
  proxies: TrustedProxies,
  head: RequestHead,
): Refusal {
  const { ip } = proxies.client(head.peer, head.secure, head.headers);
  const admitted = sessionMatches(matches).some(({ route }) => admitsAddress(route.clients, ip));
  return status === 403 && !admitted ? { status, address: ip } : { status };
}

/** What the gateway makes of the handshake and, where it waits for them, of the first bytes. */
function planFor(client: Client, opening: Opening, admission: Admission, config: Config): Plan | Refused {
  const settled = negotiated(opening);
  const early = settled === undefined ? admission.planFromHandshake(opening) : undefined;
  if (early !== undefined) return early;
  // A client that no route serves is told so as soon as it says anything.
  const message = firstMessage(client) ?? (firstFit(opening, 'raw') === undefined ? '{}' : undefined);
  const late = new Error('no token in the handshake, and none in a first message');
  if (message === undefined) return new Refused('authTimeout', late);
  const subprotocol = settled?.subprotocol ?? admission.subprotocolBeforeDial(opening);
  const reader = new FirstBytesReader(settled?.adapter, subprotocol, config.session.maxConnectBytes);
  const first = reader.add(Buffer.from(message), typeof message !== 'string');
  if (first.verdict === 'more') return new Refused('authTimeout', late);
  return admission.planFromFirstBytes(opening, first, subprotocol);
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
  } catch (thrown) {
    if (!(thrown instanceof Refused || thrown instanceof GatewayError)) throw thrown;
    return { identity, refusal: refusal(refusedFor(thrown), plan) };
  }
  return {
    identity,
    dial: { ...dialRequest(plan, identity, admission.config.credentials), destination },
    expiresAtMs: admission.access.expiresAtMs(identity),
  };
}

function refusal({ reason: key, why, reply }: Refused, plan: Plan | undefined): Refusal {
  const reason: CloseReason = CLOSE_REASONS[key];
  const said = reply ?? plan?.greeting?.refusal(isDenial(reason) ? 'authentication' : 'unavailable');
  return { reason, why: why?.message, connack: said?.at(3) };
}

/** @returns why what is on the list is not known; '': it is. */
async function learnAll<Entry>(
  store: SharedList<Entry> | undefined,
  learn: (entry: Entry) => unknown,
): Promise<string> {
  if (store === undefined) return 'no REDIS_URL or POSTGRES_DSN: each process keeps its own';
  if (!store.up) return 'the store cannot be reached';
  const loading = store.load({ onEntry: (entry) => void learn(entry), onIgnored: () => {} }).then(() => '');
  const late = pause(LOAD_LIMIT_MS, 'the store did not answer in time', { ref: false });
  return Promise.race([loading, late]).catch(() => 'the store did not hand over its list');
}
