import { isDeepStrictEqual } from 'node:util';

/** Throws an error that names what was expected and what came, unless they are equal. */
export function expect(what: string, got: unknown, wanted: unknown): void {
  if (isDeepStrictEqual(got, wanted)) return;
  throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`);
}
