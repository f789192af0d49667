import { type Logger, pino } from 'pino';

/** What the gateway's own parts have to say, kept instead of printed. */
export class HeardLog {
  readonly lines: Readonly<Record<string, unknown>>[] = [];
  readonly log: Logger = pino(
    { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
    { write: (line: string) => void this.lines.push(JSON.parse(line) as Record<string, unknown>) },
  );

  /** The warnings and worse, each in one line. */
  get complaints(): readonly string[] {
    return this.lines
      .filter(({ level }) => level === 'warn' || level === 'error' || level === 'fatal')
      .map(({ level: _level, msg, ...facts }) => {
        const rest = Object.entries(facts).map(([name, value]) => `${name}: ${textOf(value)}`);
        return [String(msg), ...rest].join('; ');
      });
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const message = (value as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : JSON.stringify(value);
}
