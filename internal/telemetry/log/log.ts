import { type Logger, type LoggerOptions, pino } from 'pino';
import { LogPages } from './log-pages.js';
import { PrettyLines } from './pretty-lines.js';
import { SERIALIZERS, withoutInnerSecrets } from './redaction.js';
import { Timestamps } from './timestamps.js';

export type Log = Logger;

/** The most talkative one first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Which of the lines that clients leave are written: LOG_ACCESS. */
export const ACCESS_CHOICES = ['all', 'errors', 'off'] as const;
export type AccessChoice = (typeof ACCESS_CHOICES)[number];

export interface LogOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'pretty';
  readonly logAccess: AccessChoice;
  /** INGRESS_HOST: on every line, if it is given. */
  readonly ingressHost?: string | undefined;
  /** The number of the process among several; undefined: it is the only one, or all of them are meant. */
  readonly worker?: number | undefined;
}

/**
 * What terminals obey, or readers take for the end of a line, and JSON leaves as it is; but for
 * the end of the line itself.
 */
const UNESCAPED = /[^\P{C}\n]|[\u2028\u2029]/gu;

/** Warnings and worse take what waits along at once. */
const URGENT = pino.levels.values.warn ?? 40;

/**
 * The process' logger: one JSON object a line on stdout (`time`, `level`, `msg` and the fields given), or
 * lines for people with LOG_FORMAT=pretty. Callers never hand it a token, cookie, password or query string;
 * the redaction here is the second line of defence. Its children follow when its level is changed.
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
  // Colours where a terminal reads along, unless NO_COLOR forbids them.
  const isColoured = process.stdout.isTTY === true && process.stdout.hasColors();
  const lines = logFormat === 'pretty' ? new PrettyLines(pages, isColoured) : pages;
  const log = pino({ ...settings, hooks: { logMethod, streamWrite: escaped }, onChild }, lines);
  log.on('level-change', (level, _value, _before, _valueBefore, changed) => {
    if (changed === log) for (const child of children) child.level = level;
  });
  return log;
}

/** A line with the same meaning and nothing but what is shown. @param line a JSON object and its end. */
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

/** Longest text a value that came from a peer takes in a log line, in characters. */
const MAX_LOGGED_CHARS = 256;

/** A peer's text made fit for a log field: bounded; JSON does the escaping of control characters. */
export function forLog(text: string): string {
  return text.length <= MAX_LOGGED_CHARS ? text : `${text.slice(0, MAX_LOGGED_CHARS)}…`;
}
