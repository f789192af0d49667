import type { HeaderLines } from '../../request/head.js';

/**
 * Whether a browser asks for a page to show, so that it may be redirected: by Fetch Metadata, or else by
 * Accept.
 */
export function isDocumentNavigation(method: string, headers: HeaderLines): boolean {
  if (method !== 'GET') return false;
  const destination = headers.get('sec-fetch-dest');
  if (destination !== undefined) return destination.length === 1 && destination[0] === 'document';
  return headers.get('accept')?.some((line) => /\btext\/html\b/i.test(line)) === true;
}
