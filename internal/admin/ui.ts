import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AdminAnswer } from './message.js';

/** Path of the page. */
export const UI_TARGET = '/admin/ui';

/**
 * The page for operators: one file, which holds nothing that is worth hiding. What it shows and does goes
 * through the API, with the bearer that is typed into it.
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

/** Nothing but the page's own script and style, to the letter, and calls of this API (CSP Level 3). */
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
