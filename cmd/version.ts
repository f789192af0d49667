import { readFileSync } from 'node:fs';

/** The version of package.json. */
export function version(): string {
  // Two folders up from dist/cmd, one from cmd.
  for (const place of ['../../package.json', '../package.json']) {
    try {
      const json: { name?: string; version?: string } = JSON.parse(
        readFileSync(new URL(place, import.meta.url), 'utf8'),
      );
      if (json.name === 'ws-gateway') return json.version ?? 'unknown';
    } catch {}
  }
  return 'unknown';
}
