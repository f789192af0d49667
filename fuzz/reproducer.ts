import { Random } from './random.js';
import type { Target } from './target.js';

/** Runs that the search for a shorter input may take. */
const MAX_TRIES = 1_000;

export interface Fault {
  readonly error: Error;
  /** The same for inputs that show the same fault. */
  readonly key: string;
}

/** What was thrown at an input. */
export function faultIn(thrown: unknown): Fault {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const [line = ''] = error.message.split('\n');
  return { error, key: `${error.name}: ${line.replaceAll(/\d+/g, 'N')}` };
}

/** Asks the target about one input. @returns undefined: all holds. */
export async function faultOf(target: Target, input: Buffer): Promise<Fault | undefined> {
  try {
    target.run(Buffer.from(input), Random.of(input));
    await target.compare?.(input);
    return undefined;
  } catch (thrown) {
    return faultIn(thrown);
  }
}

/** An input with the same fault of which no piece can be left out. */
export async function shortened(target: Target, input: Buffer, { error, key }: Fault): Promise<Buffer> {
  // Each try would take as long again.
  if ('code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return input;
  let shortest = input;
  let tries = 0;
  for (let size = input.length >> 1; size > 0; size >>= 1)
    for (let at = 0; at + size <= shortest.length && tries < MAX_TRIES; tries++) {
      const shorter = Buffer.concat([shortest.subarray(0, at), shortest.subarray(at + size)]);
      if ((await faultOf(target, shorter))?.key === key) shortest = shorter;
      else at += size;
    }
  return shortest;
}
