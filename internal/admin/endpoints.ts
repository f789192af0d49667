import type { RevocationTarget } from '../auth/revocations/revocations.js';
import { forLog } from '../telemetry/log/log.js';
import { readBan, readBanQuery } from './bans.js';
import { readDrain, readUpstream } from './drains.js';
import { readLogOrder } from './log-settings.js';
import type { AdminRequest } from './message.js';
import type { AdminOperations } from './operations.js';
import { invalid, readParameters } from './parameters.js';
import { invalidPayload } from './payload.js';
import { AdminRefusal } from './refusal.js';
import { refusalInfo } from './refusals.js';
import { readRevocationQuery, readRevocationTarget } from './revocations.js';
import { readRevocation } from './revoke.js';
import { readSessionQuery } from './sessions.js';

/** A request that is being answered. */
export interface Call {
  readonly request: AdminRequest;
  /** The id in the path; '' where the path has none. */
  readonly id: string;
  /** Further fields of the audit line, beside caller, call and status. */
  readonly audit: Record<string, unknown>;
  /** Logs the audit line at once instead of after the call. */
  tell(status: number): void;
}

interface Result {
  readonly status?: number;
  /** undefined: no body. */
  readonly body?: object;
}

export type Endpoint = (operations: AdminOperations, call: Call) => Promise<Result>;

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

async function changeLog(operations: AdminOperations, { request, audit, tell }: Call): Promise<Result> {
  readParameters(request.query, []);
  const order = readLogOrder(await bodyOf(request));
  // Under other names than in the body: every log line has a `level` already.
  Object.assign(audit, { logLevel: order.level, logAccess: order.access });
  // Before the change: the new level may suppress the line.
  tell(200);
  await operations.changeLog(order);
  return { body: await operations.log() };
}
