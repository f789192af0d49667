import { printable } from '../line/words.js';

/** One thing that was looked at. */
export interface Finding {
  /** What it is about: `keys`, `redis`, an upstream. */
  readonly about: string;
  readonly state: 'good' | 'doubtful' | 'bad';
  readonly text: string;
}

const MARKS = {
  good: { sign: 'ok  ', colour: '\x1b[32m' },
  doubtful: { sign: 'warn', colour: '\x1b[33m' },
  bad: { sign: 'FAIL', colour: '\x1b[31m' },
} as const;
const ABOUT_CHARS = 15;

export function findingLine({ about, state, text }: Finding, colour: boolean): string {
  const { sign, colour: on } = MARKS[state];
  return `${colour ? `${on}${sign}\x1b[0m` : sign}  ${about.padEnd(ABOUT_CHARS)}${printable(text)}`;
}
