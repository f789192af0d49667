import { fromUnknown } from '../errors.js';
import { LineAllowance } from '../ratelimit/line-allowance.js';
import { forLog, type Log } from '../telemetry/log/log.js';
import { AdminAuthorization } from './authorization.js';
import { ENDPOINTS, type Endpoint } from './endpoints.js';
import type { AdminAnswer, AdminRequest } from './message.js';
import type { AdminOperations } from './operations.js';
import { AdminRefusal } from './refusal.js';
import { SESSION_ID } from './sessions.js';
import { readUi, UI_TARGET } from './ui.js';

export type { AdminAnswer, AdminRequest } from './message.js';

export interface AdminParts {
  /** ADMIN_TOKEN; undefined: direct loopback peers only. */
  readonly token: string | undefined;
  readonly operations: AdminOperations;
  readonly log: Log;
}

const SESSION_PATH = '/admin/sessions/';
const BAN_PATH = '/admin/bans/';

/** On every answer: caches must not store what operators see. */
const BODILESS_HEADERS = { 'Cache-Control': 'no-store' };
const HEADERS = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };

/**
 * The admin API (SPEC section 11): checks the caller first, then path and method, then the body. Each call is
 * logged in one line; of refused callers only so many are, as anybody could flood the log.
 */
export class AdminApi {
  readonly #authorization: AdminAuthorization;
  readonly #operations: AdminOperations;
  readonly #log: Log;
  /** Limits the lines about refused callers. */
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
    let told: number | undefined;
    const tell = (status: number) => {
      if (status !== told && this.#tell(request, path, status, audit)) told = status;
    };
    let answer: AdminAnswer;
    try {
      this.#authorization.check(request);
      const endpoint = endpointFor(path, request.method);
      const { status = 200, body } = await endpoint(this.#operations, { request, id, audit, tell });
      answer =
        body === undefined
          ? { status, headers: BODILESS_HEADERS, body: '' }
          : { status, headers: HEADERS, body: json(body) };
    } catch (thrown) {
      answer = refusalAnswer(thrown);
      audit.error = thrown instanceof AdminRefusal ? thrown.message : undefined;
      if (!(thrown instanceof AdminRefusal)) audit.err = fromUnknown(thrown);
    }
    tell(answer.status);
    return answer;
  }

  /** Logs the call. @returns whether the level of the log lets the line through. */
  #tell(
    { peer, method }: AdminRequest,
    path: string,
    status: number,
    audit: Readonly<Record<string, unknown>>,
  ): boolean {
    const isStranger = status === 401 || status === 403;
    const allowed = isStranger ? this.#allowance.take() : {};
    if (allowed === undefined) return false;
    const action = ENDPOINTS.has(path) ? `${forLog(method)} ${path}` : 'unknown';
    const level = status < 400 ? 'info' : status < 500 ? 'warn' : 'error';
    this.#log[level]({ ip: peer, action, status, ...audit, ...allowed }, 'admin action');
    return this.#log.isLevelEnabled(level);
  }

  /** Needs no bearer token, as a browser sends none when it navigates; the page holds nothing secret. */
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
  // A subject may hold any character; a slash in it must be written as %2F.
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

/** The answer for an error; one that is not an AdminRefusal does not show its text. */
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
