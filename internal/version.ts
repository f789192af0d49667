import { readFileSync } from 'node:fs';

/** The gateway's own version; `unknown` where its package.json is not at hand. */
export function version(): string {
  // Two folders up from dist/internal, one from internal.
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
