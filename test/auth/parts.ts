import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { Authenticator } from '../../internal/auth/authenticator.js';
import type { Clock } from '../../internal/auth/clock.js';
import { VerificationKeys } from '../../internal/auth/keys/keys.js';
import type { TokenCacheStore } from '../../internal/auth/token-cache/cache.js';
import { MemoryTokenCache } from '../../internal/auth/token-cache/memory.js';
import { TieredTokenCache } from '../../internal/auth/token-cache/tiered.js';
import { TrustedIssuers } from '../../internal/auth/trusted-issuers.js';
import type { Algorithm, VerificationConfig } from '../../internal/config/config.js';
import type { Log } from '../../internal/telemetry/log/log.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { type Issuer, type IssuerOptions, startIssuer } from '../support/servers/issuer.js';

/** Every algorithm that may be configured; written out, so that tests fail if one is lost. */
export const ALL: readonly Algorithm[] = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA'] as const),
];

/** A log that keeps its lines and can be waited on. */
export class RecordedLog {
  readonly lines: string[] = [];
  readonly #events = new EventEmitter();
  readonly log: Log = pino({ level: 'trace' }, { write: (line: string) => this.#take(line) });

  /** Resolves at the next line that contains `text`. */
  next(text: string): Promise<string> {
    return new Promise((resolve) => {
      const hear = (line: string) => {
        if (!line.includes(text)) return;
        this.#events.off('line', hear);
        resolve(line);
      };
      this.#events.on('line', hear);
    });
  }

  #take(line: string): void {
    this.lines.push(line);
    this.#events.emit('line', line);
  }
}

/** Time that only passes when told. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #timers: { atMs: number; work: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, work: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, work };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs what is due up to then, in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.work();
    }
    this.#nowMs = untilMs;
  }

  /** Milliseconds until the next timer. */
  get nextInMs(): number {
    return Math.min(...this.#timers.map(({ atMs }) => atMs)) - this.#nowMs;
  }

  get timers(): number {
    return this.#timers.length;
  }
}

export function verification(overrides: Partial<VerificationConfig>): VerificationConfig {
  return {
    keySource: { kind: 'none' },
    jwksTtlMs: 600_000,
    jwksMaxStaleMs: 86_400_000,
    issuer: undefined,
    audiences: [],
    authorizedParties: [],
    issuers: [],
    rolesClaims: undefined,
    nameClaim: 'preferred_username',
    scopeClaim: 'scope',
    algorithms: ['RS256'],
    clockSkewMs: 5000,
    closeOnExpiry: true,
    introspection: undefined,
    proxies: { http: undefined, https: undefined, except: [] },
    ...overrides,
  };
}

export interface Bench {
  readonly config: VerificationConfig;
  readonly issuer: Issuer;
  readonly keys: VerificationKeys;
  readonly authenticator: Authenticator;
  readonly memory: MemoryTokenCache;
  readonly cache: TieredTokenCache;
  readonly metrics: Metrics;
  readonly clock: ManualClock;
  readonly log: RecordedLog;
}

export interface BenchOptions {
  readonly issuer?: IssuerOptions;
  readonly config?: Partial<VerificationConfig>;
  readonly store?: TokenCacheStore;
  readonly now?: () => number;
  /** Before the keys are loaded. */
  readonly prepare?: (issuer: Issuer) => unknown;
}

/** An issuer, keys loaded from it and an authenticator, ended with the test. */
export async function bench(t: TestContext, options: BenchOptions = {}): Promise<Bench> {
  const issuer = await startIssuer(options.issuer);
  t.after(() => issuer.close());
  options.prepare?.(issuer);
  const config = verification({
    keySource: { kind: 'jwks', url: issuer.jwksUrl },
    algorithms: options.issuer?.algorithms ?? ['RS256'],
    ...options.config,
  });
  const log = new RecordedLog();
  const metrics = new Metrics(100);
  const clock = new ManualClock();
  const keys = new VerificationKeys(config, log.log, metrics, clock);
  t.after(() => keys.stop());
  await keys.start();
  const memory = new MemoryTokenCache(1000, options.now);
  const cache = new TieredTokenCache(memory, options.store, metrics, options.now);
  const authenticator = new Authenticator(
    config,
    new TrustedIssuers(config, () => keys),
    cache,
    metrics,
    options.now,
  );
  return { config, issuer, keys, authenticator, memory, cache, metrics, clock, log };
}

/** For assert.rejects: the code, and nothing of the token in what the log would get. */
export function refusedWith(code: string, token?: string) {
  return (error: unknown): boolean => {
    const { code: actual, message, cause } = error as { code?: string; message: string; cause?: unknown };
    if (actual !== code) throw new Error(`refused with ${actual}: ${message}`, { cause: error });
    for (const part of token?.split('.') ?? [])
      if (part.length > 8 && `${message}${String(cause)}`.includes(part))
        throw new Error(`token text in "${message}"`);
    return true;
  };
}

/** The compact form of anything. */
export function compact(header: unknown, payload: unknown, signature = ''): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${signature}`;
}

/** Has the authenticator refuse a token. @param why what the log is told. */
export async function refused(
  { authenticator }: Pick<Bench, 'authenticator'>,
  token: string,
  why?: RegExp,
): Promise<void> {
  await assert.rejects(
    async () => authenticator.authenticate(token),
    (error: Error) => {
      if (why !== undefined) assert.match(error.message, why);
      return refusedWith('ERR_JWT_INVALID', token)(error);
    },
  );
}

/** Of now, since the epoch. */
export const seconds = () => Math.floor(Date.now() / 1000);
