import type { RevocationTarget } from '../auth/revocations/revocations.js';
import { fromUnknown } from '../errors.js';
import { LineAllowance } from '../ratelimit/line-allowance.js';
import { forLog, type Log } from '../telemetry/log.js';
import { AdminAuthorization } from './authorization.js';
import { readBan, readBanQuery } from './bans.js';
import { readDrain, readUpstream } from './drains.js';
import { readLogOrder } from './log-settings.js';
import type { AdminAnswer, AdminRequest } from './message.js';
import type { AdminOperations } from './operations.js';
import { invalid, readParameters } from './parameters.js';
import { invalidPayload } from './payload.js';
import { AdminRefusal } from './refusal.js';
import { refusalInfo } from './refusals.js';
import { readRevocationQuery, readRevocationTarget } from './revocations.js';
import { readRevocation } from './revoke.js';
import { readSessionQuery, SESSION_ID } from './sessions.js';
import { readUi, UI_TARGET } from './ui.js';

export type { AdminAnswer, AdminRequest } from './message.js';

export interface AdminParts {
  /** ADMIN_TOKEN; undefined: direct loopback peers only. */
  readonly token: string | undefined;
  readonly operations: AdminOperations;
  readonly log: Log;
}

/** One request under way. */
interface Call {
  readonly request: AdminRequest;
  /** What the path names; '' where it names nothing. */
  readonly id: string;
  /** What the audit line says beyond who, what and the status. */
  readonly audit: Record<string, unknown>;
}

interface Result {
  readonly status?: number;
  /** undefined: none, with a status that has none. */
  readonly body?: object;
}

type Endpoint = (operations: AdminOperations, call: Call) => Promise<Result>;

/** Every endpoint by path and method, as docs/openapi.yaml describes them. */
export const ENDPOINTS: ReadonlyMap<string, ReadonlyMap<string, Endpoint>> = new Map([
  ['/admin/revoke', new Map([['POST', revoke]])],
  ['/admin/sessions', new Map([['GET', sessions]])],
  ['/admin/sessions/{id}', new Map([['DELETE', closeSession]])],
  [
    '/admin/revocations',
    new Map([
      ['GET', revocations],
      ['DELETE', liftRevocation],
    ]),
  ],
  [
    '/admin/bans',
    new Map([
      ['POST', ban],
      ['GET', bans],
    ]),
  ],
  ['/admin/bans/{sub}', new Map([['DELETE', liftBan]])],
  [
    '/admin/ratelimits',
    new Map([
      ['GET', rateLimits],
      ['PUT', setRateLimit],
      ['DELETE', resetRateLimit],
    ]),
  ],
  ['/admin/refusals', new Map([['GET', refusals]])],
  ['/admin/activity/sessions', new Map([['GET', activitySessions]])],
  ['/admin/activity/routes', new Map([['GET', activityRoutes]])],
  ['/admin/circuits', new Map([['DELETE', resetCircuit]])],
  [
    '/admin/drains',
    new Map([
      ['POST', drain],
      ['DELETE', endDrain],
    ]),
  ],
  ['/admin/upstreams', new Map([['GET', upstreams]])],
  ['/admin/routes', new Map([['GET', routes]])],
  ['/admin/reload', new Map([['POST', reload]])],
  [
    '/admin/log',
    new Map([
      ['GET', log],
      ['PUT', changeLog],
    ]),
  ],
]);

const SESSION_PATH = '/admin/sessions/';
const BAN_PATH = '/admin/bans/';

/** On every answer: what an operator sees is nobody's to keep. */
const BODILESS_HEADERS = { 'Cache-Control': 'no-store' };
const HEADERS = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };

/**
 * The admin API (SPEC section 11): who calls is checked first, then what is called, then the body. Each call leaves one
 * line in the log, refused ones too, as long as those who may not call it do not flood it.
 */
export class AdminApi {
  readonly #authorization: AdminAuthorization;
  readonly #operations: AdminOperations;
  readonly #log: Log;
  /** For those who may not call it. */
  readonly #allowance = new LineAllowance();
  #ui: AdminAnswer | undefined;

  constructor({ token, operations, log }: AdminParts) {
    this.#authorization = new AdminAuthorization(token);
    this.#operations = operations;
    this.#log = log;
  }

  /** Never rejects. */
  async handle(request: AdminRequest): Promise<AdminAnswer> {
    if (request.target === UI_TARGET) return this.#page(request);
    const { path, id } = splitPath(request.target);
    const audit: Record<string, unknown> = {};
    let answer: AdminAnswer;
    try {
      this.#authorization.check(request);
      const endpoint = endpointFor(path, request.method);
      const { status = 200, body } = await endpoint(this.#operations, { request, id, audit });
      answer =
        body === undefined
          ? { status, headers: BODILESS_HEADERS, body: '' }
          : { status, headers: HEADERS, body: json(body) };
    } catch (thrown) {
      answer = refusalAnswer(thrown);
      audit.error = thrown instanceof AdminRefusal ? thrown.message : undefined;
      if (!(thrown instanceof AdminRefusal)) audit.err = fromUnknown(thrown);
    }
    const { status } = answer;
    const isStranger = status === 401 || status === 403;
    const allowed = isStranger ? this.#allowance.take() : {};
    if (allowed === undefined) return answer;
    const action = ENDPOINTS.has(path) ? `${forLog(request.method)} ${path}` : 'unknown';
    const level = status < 400 ? 'info' : status < 500 ? 'warn' : 'error';
    this.#log[level]({ ip: request.peer, action, status, ...audit, ...allowed }, 'admin action');
    return answer;
  }

  /** The page itself is for anybody who may come near the API: a browser that navigates carries no bearer. */
  #page(request: AdminRequest): AdminAnswer {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refusalAnswer(
        new AdminRefusal(405, 'method_not_allowed', 'the method must be GET', { Allow: 'GET, HEAD' }),
      );
    try {
      this.#authorization.checkPage(request);
    } catch (thrown) {
      return refusalAnswer(thrown);
    }
    this.#ui ??= readUi();
    return this.#ui;
  }
}

function splitPath(target: string): { readonly path: string; readonly id: string } {
  const id = target.startsWith(SESSION_PATH) ? target.slice(SESSION_PATH.length) : '';
  if (SESSION_ID.test(id)) return { path: `${SESSION_PATH}{id}`, id };
  const sub = target.startsWith(BAN_PATH) ? target.slice(BAN_PATH.length) : '';
  // A subject may hold any character: its slashes come as %2F.
  if (sub !== '' && !sub.includes('/')) return { path: `${BAN_PATH}{sub}`, id: sub };
  return { path: target, id: '' };
}

function endpointFor(path: string, method: string): Endpoint {
  const methods = ENDPOINTS.get(path);
  if (methods === undefined) throw new AdminRefusal(404, 'not_found', 'no such endpoint or session');
  const endpoint = methods.get(method);
  if (endpoint !== undefined) return endpoint;
  const allowed = [...methods.keys()].join(', ');
  throw new AdminRefusal(405, 'method_not_allowed', `the method must be ${allowed}`, { Allow: allowed });
}

async function revoke(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  const target = readRevocation(await bodyOf(request));
  Object.assign(audit, auditOf(target));
  const result = await operations.revoke(target);
  Object.assign(audit, result);
  return { status: result.propagated ? 200 : 202, body: { revoked: true, ...result } };
}

function auditOf(target: RevocationTarget) {
  if ('sid' in target) return { sid: forLog(target.sid) };
  const sub = forLog(target.sub);
  return 'jti' in target ? { sub, jti: forLog(target.jti) } : { sub, all: true };
}

async function bodyOf({ body }: AdminRequest): Promise<Buffer> {
  const bytes = await body;
  if (bytes === 'too-large') throw new AdminRefusal(413, 'payload_too_large', 'the body is over 64 KiB');
  if (bytes === 'aborted') throw invalidPayload();
  return bytes;
}

async function ban(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  const order = readBan(await bodyOf(request), Date.now());
  audit.sub = forLog(order.sub);
  const result = await operations.ban(order);
  Object.assign(audit, { until: result.until, persisted: result.persisted });
  return { status: 201, body: result };
}

async function liftBan(operations: AdminOperations, { request, id, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  const sub = decoded(id);
  audit.sub = forLog(sub);
  if (await operations.liftBan(sub)) return { status: 204 };
  throw new AdminRefusal(404, 'not_found', 'no ban of this subject is in force');
}

/** @throws AdminRefusal 400 */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalid('the path is not percent-encoded UTF-8');
  }
}

async function bans(operations: AdminOperations, { request }: Call): Promise<Result> {
  return { body: await operations.bans(readBanQuery(request.query)) };
}

async function sessions(operations: AdminOperations, { request }: Call): Promise<Result> {
  const { items, more } = await operations.sessions(readSessionQuery(request.query));
  return { body: { sessions: items, next: more ? (items.at(-1)?.id ?? null) : null } };
}

async function closeSession(operations: AdminOperations, { request, id, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  audit.session = id;
  if (await operations.closeSession(id)) return { body: { closed: true } };
  throw new AdminRefusal(404, 'not_found', 'no such endpoint or session');
}

async function revocations(operations: AdminOperations, { request }: Call): Promise<Result> {
  const { items, next } = await operations.revocations(readRevocationQuery(request.query));
  const unsent = await operations.unsentRevocations();
  return { body: { revocations: items, unsent, next: next ?? null } };
}

async function liftRevocation(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  const target = readRevocationTarget(request.query);
  Object.assign(audit, auditOf(target));
  const propagated = await operations.liftRevocation(target);
  if (propagated === undefined) throw new AdminRefusal(404, 'not_found', 'nothing of this is revoked');
  audit.propagated = propagated;
  return { status: propagated ? 200 : 202, body: { revoked: false, propagated } };
}

async function rateLimits(operations: AdminOperations, { request }: Call): Promise<Result> {
  readParameters(request.query, []);
  return { body: await operations.rateLimits() };
}

async function setRateLimit(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  const { order, persisted } = await operations.setRateLimit(await bodyOf(request));
  Object.assign(audit, order, { persisted });
  return { body: { ...(await operations.rateLimits()), persisted } };
}

async function resetRateLimit(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  const { route, persisted } = await operations.resetRateLimit(request.query);
  Object.assign(audit, { route, persisted });
  return { body: { ...(await operations.rateLimits()), persisted } };
}

async function refusals(operations: AdminOperations, { request }: Call): Promise<Result> {
  readParameters(request.query, []);
  return { body: { refusals: (await operations.refusals()).map(refusalInfo) } };
}

async function activitySessions(operations: AdminOperations, { request }: Call): Promise<Result> {
  return { body: await operations.activitySessions(request.query) };
}

async function activityRoutes(operations: AdminOperations, { request }: Call): Promise<Result> {
  return { body: await operations.activityRoutes(request.query) };
}

async function resetCircuit(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  const upstream = readUpstream(request.query);
  audit.upstream = forLog(upstream);
  if (await operations.resetCircuit(upstream)) return { status: 204 };
  throw new AdminRefusal(404, 'not_found', 'no such upstream');
}

async function drain(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  const order = readDrain(await bodyOf(request));
  Object.assign(audit, { upstream: forLog(order.upstream), close: order.close });
  const result = await operations.drain(order);
  if (result === undefined) throw new AdminRefusal(404, 'not_found', 'no such upstream');
  audit.persisted = result.persisted;
  return { status: 201, body: result };
}

async function endDrain(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  const upstream = readUpstream(request.query);
  audit.upstream = forLog(upstream);
  if ((await operations.endDrain(upstream)) !== undefined) return { status: 204 };
  throw new AdminRefusal(404, 'not_found', 'this upstream is not drained');
}

async function upstreams(operations: AdminOperations, { request }: Call): Promise<Result> {
  readParameters(request.query, []);
  return { body: { upstreams: await operations.upstreams() } };
}

async function routes(operations: AdminOperations, { request }: Call): Promise<Result> {
  readParameters(request.query, []);
  return { body: { routes: await operations.routes() } };
}

async function reload(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  const { outcome, problems } = await operations.reload();
  audit.outcome = outcome;
  if (outcome !== 'rejected') return { body: { outcome } };
  const message = 'the routes file has problems: the routes in effect stay';
  throw new AdminRefusal(422, 'routes_rejected', message, {}, { problems });
}

async function log(operations: AdminOperations, { request }: Call): Promise<Result> {
  readParameters(request.query, []);
  return { body: await operations.log() };
}

async function changeLog(operations: AdminOperations, { request, audit }: Call): Promise<Result> {
  readParameters(request.query, []);
  const order = readLogOrder(await bodyOf(request));
  Object.assign(audit, order);
  await operations.changeLog(order);
  return { body: await operations.log() };
}

/** What was thrown, as far as it is meant for the caller. */
function refusalAnswer(thrown: unknown): AdminAnswer {
  if (!(thrown instanceof AdminRefusal)) {
    return {
      status: 500,
      headers: HEADERS,
      body: json({ error: { code: 'internal_error', message: 'internal error' } }),
    };
  }
  const { status, code, message, headers, details } = thrown;
  return {
    status,
    headers: { ...HEADERS, ...headers },
    body: json({ error: { code, message, ...details } }),
  };
}

function json(body: object): string {
  return `${JSON.stringify(body)}\n`;
}
