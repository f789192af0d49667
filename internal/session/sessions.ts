import { type Identity, tokenKey } from '../auth/identity/identity.js';
import { Cell } from '../collections/cell.js';
import { Multimap } from '../collections/multimap.js';
import type { ConnectionSlots } from '../ratelimit/connection-limits.js';
import { LineAllowance } from '../ratelimit/line-allowance.js';
import { PacedQueue } from '../runtime/paced-queue.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { LiveSession } from './live-session.js';
import type { Pump } from './pump/pump.js';
import { Traffic } from './traffic.js';

/** Interval at which a drain closes the sessions that are due, in milliseconds. */
const DRAIN_STEP_MS = 20;

/**
 * Sessions closed in one turn of the event loop when thousands end for one reason: each costs two close
 * frames and a log line, about 40 µs.
 */
export const ENDED_A_TURN = 100;

export interface SessionLimits {
  /** 0: no limit. */
  readonly maxConnections: number;
}

/** The live sessions of this process, by id, by subject and by session at the provider. */
export class Sessions {
  readonly #live = new Map<string, Cell<LiveSession>>();
  readonly #bySub = new Multimap<string, LiveSession>();
  /** By `sid`, the session at the identity provider; only those whose token has one. */
  readonly #bySid = new Multimap<string, LiveSession>();
  readonly #metrics: Metrics;
  /** Counts of messages and bytes. */
  readonly traffic: Traffic;
  /** Sessions that wait for their close; see `LiveSession.queueClose`. */
  readonly endings = new PacedQueue(ENDED_A_TURN);
  /** Allowance of log lines about clients that were never admitted, which anybody can cause. */
  readonly strangersLines = new LineAllowance();
  /** Live sessions by the metrics label of their route; 0 for routes that had some before. */
  readonly #byRoute = new Map<string, number>();
  #draining = false;
  #idle: (() => void) | undefined;

  /** @param slots `remove` gives back the slots of a session, which were taken when it was admitted. */
  constructor(
    readonly limits: SessionLimits,
    readonly slots: ConnectionSlots,
    metrics: Metrics,
  ) {
    this.#metrics = metrics;
    this.traffic = new Traffic(metrics);
    this.#byRoute.set(metrics.routeLabel(undefined), 0);
    metrics.beforeScrape(() => this.#report());
  }

  get size(): number {
    return this.#live.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Why no new client at all is accepted; undefined: they are. */
  get full(): string | undefined {
    const { maxConnections } = this.limits;
    if (this.#draining) return 'draining';
    return maxConnections > 0 && this.#live.size >= maxConnections
      ? `MAX_CONNECTIONS: ${maxConnections} sessions`
      : undefined;
  }

  /** Adds a session; `remove` gives back the slot of its address (`slots.perIp`), if it has one. */
  add(session: LiveSession): void {
    this.#live.set(session.id, new Cell(session));
  }

  /**
   * Indexes a session by its subject and by its token's `sid`. It holds a slot of its subject and of its
   * token (`slots.perSub`, `slots.perToken`), which `remove` gives back.
   */
  identify(session: LiveSession, sub: string): void {
    this.#bySub.add(sub, session);
    this.reidentify(session, undefined);
  }

  /** Indexes a session by a new identity. @param before the one it had; undefined: none. */
  reidentify(session: LiveSession, before: Identity | undefined): void {
    this.#leaveProviderSession(session, before);
    const { identity } = session;
    if (identity !== undefined && identity.sid !== '') this.#bySid.add(identity.sid, session);
  }

  #leaveProviderSession(session: LiveSession, identity: Identity | undefined): void {
    if (identity !== undefined && identity.sid !== '') this.#bySid.delete(identity.sid, session);
  }

  /** Removes a session whose client is gone; a second call does nothing. */
  remove(session: LiveSession): void {
    const cell = this.#live.get(session.id);
    if (cell === undefined) return;
    cell.content = undefined;
    this.#live.delete(session.id);
    this.#leaveProviderSession(session, session.identity);
    if (session.slot !== undefined) this.slots.perIp.leave(session.slot);
    const sub = session.identity?.sub;
    if (sub !== undefined && this.#bySub.delete(sub, session)) {
      this.slots.perSub.leave(sub);
      const token = session.identity && tokenKey(session.identity);
      if (token !== undefined) this.slots.perToken.leave(token, session.id);
    }
    if (session.acceptedMs !== undefined) {
      this.#metrics.sessions.duration.observe((performance.now() - session.acceptedMs) / 1000);
    }
    if (this.#live.size === 0) this.#idle?.();
  }

  get(id: string): LiveSession | undefined {
    return this.#live.get(id)?.content;
  }

  /** All of them, in the order they came. */
  *[Symbol.iterator](): IterableIterator<LiveSession> {
    for (const { content } of this.#live.values()) if (content !== undefined) yield content;
  }

  ofSubject(sub: string): readonly LiveSession[] {
    return this.#bySub.of(sub);
  }

  /** @param sid of the session at the provider. */
  ofProviderSession(sid: string): readonly LiveSession[] {
    return this.#bySid.of(sid);
  }

  /** From now on new clients are refused. */
  startDraining(): void {
    this.#draining = true;
  }

  /**
   * Closes all sessions, spread evenly over `drainTimeoutMs` so that their clients do
   * not all come back at once.
   * @returns when none is left, or after the timeout and `hardLimitMs` more, with the rest cut off.
   */
  async drain(drainTimeoutMs: number, hardLimitMs: number): Promise<void> {
    this.startDraining();
    const queue = [...this];
    const total = queue.length;
    const startMs = performance.now();
    const pacer = setInterval(() => {
      const share = drainTimeoutMs === 0 ? 1 : (performance.now() - startMs) / drainTimeoutMs;
      const due = Math.min(total, Math.floor(total * share + 0.5)) - (total - queue.length);
      for (const session of queue.splice(0, due)) session.close('shutdown');
    }, DRAIN_STEP_MS);
    await this.#untilIdle(drainTimeoutMs + hardLimitMs);
    clearInterval(pacer);
    for (const session of [...this]) session.terminate();
  }

  #untilIdle(withinMs: number): Promise<void> {
    if (this.#live.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #report(): void {
    const metrics = this.#metrics;
    let toClient = 0;
    let toUpstream = 0;
    const pumps: [Pump, string][] = [];
    for (const label of this.#byRoute.keys()) this.#byRoute.set(label, 0);
    for (const { pump, route } of this) {
      const label = metrics.routeLabel(route);
      this.#byRoute.set(label, (this.#byRoute.get(label) ?? 0) + 1);
      if (pump === undefined) continue;
      pumps.push([pump, label]);
      const buffered = pump.bufferedBytes();
      toClient += buffered.toClient;
      toUpstream += buffered.toUpstream;
    }
    this.traffic.show(pumps);
    for (const [route, sessions] of this.#byRoute) metrics.sessions.active.set({ route }, sessions);
    metrics.messages.bufferedBytes.set({ direction: 'upstream_to_client' }, toClient);
    metrics.messages.bufferedBytes.set({ direction: 'client_to_upstream' }, toUpstream);
  }
}
