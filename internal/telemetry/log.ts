import { type Logger, type LoggerOptions, pino } from 'pino';
import { LogPages, PAGED } from './log-pages.js';
import { SERIALIZERS, withoutInnerSecrets } from './redaction.js';
import { Timestamps } from './timestamps.js';

export type Log = Logger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export interface LogOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'pretty';
  /** INGRESS_HOST: on every line, if it is given. */
  readonly ingressHost?: string | undefined;
}

/** Warnings and worse take what waits along at once. */
const URGENT = pino.levels.values.warn ?? 40;

/**
 * The process' logger: one JSON object a line on stdout (`time`, `level`, `msg` and the fields given), or readable
 * lines with LOG_FORMAT=pretty. Callers never hand it a token, cookie, password or query string; the redaction here is
 * the second line of defence.
 */
export function createLog({ ingressHost, ...options }: LogOptions): Log {
  const isPretty = options.logFormat === 'pretty';
  const timestamps = new Timestamps();
  const settings: LoggerOptions = {
    level: options.logLevel,
    base: ingressHost === undefined ? null : { ingressHost },
    timestamp: () => `,"time":"${timestamps.at(Date.now())}"`,
    formatters: { level: (label) => ({ level: label }), log: withoutInnerSecrets },
    serializers: SERIALIZERS,
    ...(isPretty
      ? { transport: { target: 'pino-pretty', options: { translateTime: 'SYS:HH:MM:ss.l' } } }
      : {}),
  };
  if (isPretty) return pino(settings);
  const pages = new LogPages(pino.destination({ ...PAGED }));
  const logMethod: NonNullable<LoggerOptions['hooks']>['logMethod'] = function (args, method, level) {
    method.apply(this, args);
    if (level >= URGENT) pages.turn();
  };
  return pino({ ...settings, hooks: { logMethod } }, pages);
}

/** Resolves when everything logged so far is written. */
export function flushed(log: Log): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}

/** Longest text a value that came from a peer takes in a log line, in characters. */
const MAX_LOGGED_CHARS = 256;

/** A peer's text made fit for a log field: bounded; JSON does the escaping of control characters. */
export function forLog(text: string): string {
  return text.length <= MAX_LOGGED_CHARS ? text : `${text.slice(0, MAX_LOGGED_CHARS)}…`;
}
