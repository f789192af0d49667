import type { Logger } from 'pino';
import type { Config, RouteTable } from '../../internal/config/config.js';
import type { CompiledEndpoint } from '../../internal/config/schemas/compiled.js';
import { verifiesTokens } from '../../internal/config/verifies-tokens.js';
import { GatewayError } from '../../internal/errors.js';
import { type Applicant, admit } from '../../internal/exchange/admission.js';
import type { Caller, ExchangeRequest } from '../../internal/exchange/exchange-request.js';
import { Exchanges } from '../../internal/exchange/exchanges.js';
import { judgeRequest } from '../../internal/exchange/intake.js';
import { problemAnswer } from '../../internal/exchange/problem.js';
import { requestHeaders } from '../../internal/exchange/proxy/request-headers.js';
import { upstreamPath } from '../../internal/exchange/proxy/upstream-path.js';
import { rulesOf, templateSubject } from '../../internal/exchange/route-rules.js';
import { checkEndpoint } from '../../internal/exchange/schema/gate.js';
import type { FlatHeaders } from '../../internal/request/flat-headers.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import type { RequestHead } from '../../internal/request/head.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import type { Destination } from '../../internal/upstream/pool/destination.js';
import { surroundings } from './surroundings.js';

/** How an HTTP request fares. */
export interface HttpOutcome {
  readonly facts: ExchangeRequest;
  readonly caller: Caller;
  /** Why it cannot be told whether the token is revoked; '': it can. */
  readonly revocationsUnknown: string;
  readonly expiresAtMs: number;
  /** Of the answer to a preflight. */
  readonly preflight?: FlatHeaders | undefined;
  /** Of the schema file, whose schema the body will be held against. */
  readonly endpoint?: CompiledEndpoint | undefined;
  /** Where it goes: URLs, and what is said there. */
  readonly upstream?: { readonly urls: readonly string[]; readonly headers: FlatHeaders } | undefined;
  /** undefined: it is let in. */
  readonly refusal?: HttpRefusal | undefined;
}

export interface HttpRefusal {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  /** For the operator; clients are told nothing of it. */
  readonly why: string;
  readonly headers: readonly string[];
}

/**
 * Leads a plain HTTP request through the gateway's own checks, up to where the upstream would be asked or the
 * body read (SPEC section 17). Nothing is counted against a limit, no token used up, and no upstream touched.
 * @returns undefined: it is no business of an HTTP route.
 */
export async function rehearseHttp(
  head: RequestHead,
  config: Config,
  table: RouteTable,
  log: Logger,
): Promise<HttpOutcome | undefined> {
  const { credentials, opening, verification } = config;
  const proxies = new TrustedProxies(opening.trustedProxies);
  const judged = judgeRequest(head, { credentials, proxies, table: () => table });
  if (judged === undefined) return undefined;
  const around = await surroundings(config, table, log);
  try {
    const revocationsUnknown = await around.start();
    const { access } = around;
    const applicant = new Rehearsed(judged.facts, {
      ...{ access, credentials },
      exchanges: new Exchanges(),
      verifies: verifiesTokens(verification),
      origins: new AllowedOrigins(opening.allowedOrigins),
      requests: { take: () => undefined },
    });
    const told = () => ({
      ...{ facts: judged.facts, caller: applicant.caller, revocationsUnknown },
      expiresAtMs: access.expiresAtMs(applicant.caller.identity),
    });
    try {
      if (judged.refusal !== undefined) throw judged.refusal;
      const preflight = await applicant.run();
      return { ...told(), preflight, ...(preflight === undefined ? passing(applicant) : {}) };
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      return { ...told(), refusal: refusalOf(thrown) };
    }
  } finally {
    await around.stop();
  }
}

class Rehearsed implements Applicant {
  readonly request = { headers: {} };
  caller: Caller = { identity: undefined, token: undefined, ambient: false };
  #settle: (preflight: FlatHeaders | undefined) => void = () => {};
  #fail: (thrown: unknown) => void = () => {};

  constructor(
    readonly facts: ExchangeRequest,
    readonly parts: Applicant['parts'],
  ) {}

  /** @returns the answer's headers if it is a preflight. @throws what refuses it. */
  run(): Promise<FlatHeaders | undefined> {
    return new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
      admit(this);
    });
  }

  later<T>(step: Promise<T>, next: (value: T) => void): void {
    step.then(next).catch((thrown: unknown) => this.#fail(thrown));
  }

  /** How many others of its address there are at that moment, nobody knows. */
  enter(): void {}

  preflight(headers: FlatHeaders): void {
    this.#settle(headers);
  }

  identified(caller: Caller): void {
    this.caller = caller;
  }

  admitted(): void {
    this.#settle(undefined);
  }
}

/** What is asked once it is let in. */
function passing({ facts, caller, parts }: Rehearsed): Pick<HttpOutcome, 'endpoint' | 'upstream'> {
  const { route } = facts;
  if (route.kind !== 'http') return {};
  const request: ExchangeRequest<typeof route> = { ...facts, route };
  const destination: Destination | undefined = parts.access.destination(route, caller);
  const { schemas, request: changes } = rulesOf(route);
  const endpoint = schemas && checkEndpoint(schemas, facts);
  const headers = changes.apply(
    requestHeaders([], request, caller, parts.credentials),
    templateSubject(facts, caller),
  );
  const urls = (destination === undefined ? route.upstreams : [destination.url]).map((upstream) => {
    const url = new URL(upstream);
    return `${url.protocol}//${url.host}${upstreamPath(url, request)}`;
  });
  return { endpoint, upstream: { urls, headers } };
}

function refusalOf(thrown: GatewayError): HttpRefusal {
  const { status, headers, body } = problemAnswer(thrown);
  const { title } = JSON.parse(String(body)) as { title: string };
  return { status, code: thrown.code, title, why: thrown.message, headers };
}
