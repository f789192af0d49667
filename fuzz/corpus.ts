import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The inputs that a target begins with: one file each, in the order of their names. */
export function corpusOf(targetName: string): readonly Buffer[] {
  const folder = new URL(`corpus/${targetName}/`, import.meta.url);
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(fileURLToPath(new URL(name, folder))));
}
