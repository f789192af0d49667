import { type Logger, type LoggerOptions, pino } from 'pino';
import { LogPages } from './log-pages.js';
import { PrettyLines } from './pretty-lines.js';
import { SERIALIZERS, withoutInnerSecrets } from './redaction.js';
import { Timestamps } from './timestamps.js';

export type Log = Logger;

/** From the most verbose to the least. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Values of LOG_ACCESS: which lines about clients are logged. */
export const ACCESS_CHOICES = ['all', 'errors', 'off'] as const;
export type AccessChoice = (typeof ACCESS_CHOICES)[number];

export interface LogOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'pretty';
  readonly logAccess: AccessChoice;
  /** INGRESS_HOST, added to every line if it is set. */
  readonly ingressHost?: string | undefined;
  /** Number of the worker; undefined: the only process, or the supervisor. */
  readonly worker?: number | undefined;
}

/**
 * Characters that JSON does not escape but that control a terminal or end a line for some readers; except the
 * end of the log line itself.
 */
const UNESCAPED = /[^\P{C}\n]|[\u2028\u2029]/gu;

/** Lines from `warn` up are written at once, with all that waits. */
const URGENT = pino.levels.values.warn ?? 40;

/**
 * The logger of the process: one JSON object per line on stdout (`time`, `level`, `msg` and the given
 * fields), or lines for people with LOG_FORMAT=pretty. Callers never pass it a token, cookie, password or
 * query string; the redaction here is a second line of defence. A change of its level applies to child
 * loggers, too.
 */
export function createLog(options: Omit<LogOptions, 'logAccess'>): Log {
  const { logLevel, logFormat, ingressHost, worker } = options;
  const timestamps = new Timestamps();
  const settings: LoggerOptions = {
    level: logLevel,
    base: {
      ...(ingressHost === undefined ? {} : { ingressHost }),
      ...(worker === undefined ? {} : { worker }),
    },
    timestamp: () => `,"time":"${timestamps.at(Date.now())}"`,
    formatters: { level: (label) => ({ level: label }), log: withoutInnerSecrets },
    serializers: SERIALIZERS,
  };
  const pages: LogPages = new LogPages((lines) =>
    log.warn({ lines }, 'log lines left out: standard output took no more'),
  );
  const logMethod: NonNullable<LoggerOptions['hooks']>['logMethod'] = function (args, method, level) {
    method.apply(this, args);
    if (level >= URGENT) pages.turn();
  };
  const children: Logger[] = [];
  const onChild = (child: Logger) => void children.push(child);
  // Colours if stdout is a terminal, unless NO_COLOR is set.
  const isColoured = process.stdout.isTTY === true && process.stdout.hasColors();
  const lines = logFormat === 'pretty' ? new PrettyLines(pages, isColoured) : pages;
  const log = pino({ ...settings, hooks: { logMethod, streamWrite: escaped }, onChild }, lines);
  log.on('level-change', (level, _value, _before, _valueBefore, changed) => {
    if (changed === log) for (const child of children) child.level = level;
  });
  return log;
}

/** Escapes control and format characters. @param line a JSON object and its line end. */
function escaped(line: string): string {
  return line.replace(UNESCAPED, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** Resolves when everything logged so far is written. */
export function flushed(log: Log): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}

/** Longest value from a peer in a log line, in characters. */
const MAX_LOGGED_CHARS = 256;

/** Shortens a text from a peer for a log field; control characters are escaped when the line is written. */
export function forLog(text: string): string {
  return text.length <= MAX_LOGGED_CHARS ? text : `${text.slice(0, MAX_LOGGED_CHARS)}…`;
}
