import type { HeaderRules } from '../../internal/config/config.js';
import { templateParts } from '../../internal/config/routes/templates.js';

/**
 * The header lines that an upstream is sent, as they are told: the token is not repeated, and neither is text
 * that a route itself sets, which may hold a secret, as in the admin API. Where only placeholders are set,
 * what they stand for is told.
 * @param changes the route's `requestHeaders`, applied to these lines already.
 * @param requestId what stands for the one of X-Request-Id.
 */
export function toldHeaders(
  lines: readonly (readonly [name: string, value: string])[],
  { set }: Pick<HeaderRules, 'set'>,
  requestId: string,
): [name: string, value: string][] {
  const ofRoute = new Map(set.map(({ name, value }) => [name.toLowerCase(), value]));
  return lines.map(([name, value]) => {
    const template = ofRoute.get(name.toLowerCase());
    if (template !== undefined)
      return [name, templateParts(template).some(({ kind }) => kind === 'text') ? SET_BY_ROUTE : value];
    if (name.toLowerCase() === 'authorization') return [name, 'Bearer <the token>'];
    return [name, name === 'X-Request-Id' ? requestId : value];
  });
}

const SET_BY_ROUTE = '<what requestHeaders of the route sets>';
