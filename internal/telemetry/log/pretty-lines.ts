import type { DestinationStream } from 'pino';

const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
const COLOURS: Readonly<Record<string, string>> = Object.freeze({
  trace: '\u001b[90m',
  debug: '\u001b[34m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
  fatal: '\u001b[1;31m',
});
const LONGEST_LEVEL = 5;

/** Values that need quotes: empty ones, those with white space, quotes, `=` or control characters. */
const NOT_BARE = /[\s"=\p{C}]|^$/u;
const UNSHOWN = /[\p{C}\u2028\u2029]/gu;

type Fields = Readonly<Record<string, unknown>>;

/**
 * A log line for people: local date and time, level, message, then the fields as `name=value`. Always one
 * line: text of peers can neither end nor colour it.
 * @param line a JSON object, as pino writes it.
 */
export function prettyLine(line: string, isColoured: boolean): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Fields;
  const paint = (colour: string | undefined, text: string) =>
    isColoured && colour !== undefined ? `${colour}${text}${RESET}` : text;
  const word = String(level);
  const said = [
    paint(DIM, localTime(new Date(String(time)))),
    paint(COLOURS[word], word.toUpperCase().padEnd(LONGEST_LEVEL)),
    shown(typeof msg === 'string' ? msg : ''),
    ...Object.entries(fields)
      .flatMap(([name, value]) => (name === 'err' ? errorFields(value) : [[name, value] as const]))
      .map(([name, value]) => `${paint(DIM, `${name}=`)}${valueText(value)}`),
  ];
  return `${said.join(' ')}\n`;
}

/** Turns the JSON lines of pino into lines for people. */
export class PrettyLines implements DestinationStream {
  constructor(
    readonly destination: DestinationStream & { flush(done?: () => void): void },
    readonly isColoured: boolean,
  ) {}

  write(line: string): void {
    this.destination.write(prettyLine(line, this.isColoured));
  }

  /** Called by pino. */
  flush(done?: () => void): void {
    this.destination.flush(done);
  }
}

/** Message and place of an error; the full stack is only in the JSON format. */
function errorFields(err: unknown): (readonly [string, unknown])[] {
  if (typeof err !== 'object' || err === null) return [['err', err]];
  const { type, message, stack } = err as Fields;
  const at = typeof stack === 'string' ? /\n\s+at (.*)/.exec(stack)?.[1] : undefined;
  const text = `${String(type)}: ${String(message)}`;
  return at === undefined
    ? [['err', text]]
    : [
        ['err', text],
        ['at', at],
      ];
}

function valueText(value: unknown): string {
  if (typeof value === 'string' && !NOT_BARE.test(value)) return value;
  return shown(JSON.stringify(value));
}

function shown(text: string): string {
  return text.replace(UNSHOWN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** As `2026-01-05 09:30:00.125`, in the time zone of the process. */
function localTime(date: Date): string {
  const ofUtc = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return ofUtc.toISOString().slice(0, -1).replace('T', ' ');
}
