import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AdminAnswer } from './message.js';

/** Path of the page. */
export const UI_TARGET = '/admin/ui';

/**
 * The page for operators: one static file without secrets. It does everything through the API, with the
 * bearer token that is typed into it.
 */
export function readUi(): AdminAnswer {
  const body = readFileSync(new URL('./ui.html', import.meta.url), 'utf8');
  return {
    status: 200,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': 'no-cache',
      'Content-Security-Policy': policyFor(body),
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Opener-Policy': 'same-origin',
    },
    body,
  };
}

/** Allows the page's own script and style, by their hashes, and calls of this API only (CSP Level 3). */
function policyFor(page: string): string {
  const hashes = (tag: 'script' | 'style') =>
    [...page.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))].map(
      ([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
    );
  return [
    "default-src 'none'",
    `script-src ${hashes('script').join(' ')}`,
    `style-src ${hashes('style').join(' ')}`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
