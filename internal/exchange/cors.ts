import type { CorsRule } from '../config/config.js';
import type { FlatHeaders } from '../request/flat-headers.js';
import { withoutLines } from '../request/flat-headers.js';
import type { HeaderLines } from '../request/head.js';
import { AllowedOrigins } from '../request/origin.js';

/** Methods a page may use where neither `cors.methods` nor `methods` names any. */
const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * Which pages of other origins may use a route, and what they may see of its answers (WHATWG Fetch, CORS
 * protocol). The upstream's own CORS headers are replaced.
 */
export class Cors {
  readonly #rule: CorsRule;
  readonly #origins: AllowedOrigins;
  /**
   * Origins whose pages may also change something in the user's name: those that are named. `*` allows
   * requests without a cookie only; a browser sends it with a form's POST all the same.
   */
  readonly origins: AllowedOrigins;
  readonly #anybody: boolean;
  readonly #methods: readonly string[];

  /** @param methods those of the route; undefined: all. */
  constructor(rule: CorsRule, methods: readonly string[] | undefined) {
    this.#rule = rule;
    this.#origins = new AllowedOrigins(rule.origins);
    this.origins = new AllowedOrigins(rule.origins.filter((origin) => origin !== '*'));
    this.#anybody = rule.origins.includes('*') && !rule.credentials;
    this.#methods = rule.methods.length > 0 ? rule.methods : (methods ?? USUAL_METHODS);
  }

  /**
   * The headers of the answer to a preflight, which needs no token; undefined: the request is none. A page
   * without permission gets an answer without CORS headers, and its browser refuses the request.
   */
  preflight(method: string, headers: HeaderLines): FlatHeaders | undefined {
    const asked = headers.get('access-control-request-method');
    if (method !== 'OPTIONS' || asked === undefined || !headers.has('origin')) return undefined;
    const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
    const allowed = this.#allowed(headers);
    if (allowed === undefined) return ['Vary', vary];
    const { headers: allowedHeaders, maxAgeSeconds } = this.#rule;
    const answer = ['Access-Control-Allow-Origin', allowed, ...this.#credentials()];
    answer.push('Access-Control-Allow-Methods', this.#methods.join(', '));
    if (allowedHeaders.length > 0) answer.push('Access-Control-Allow-Headers', allowedHeaders.join(', '));
    if (maxAgeSeconds !== undefined) answer.push('Access-Control-Max-Age', String(maxAgeSeconds));
    return [...answer, 'Vary', vary];
  }

  /**
   * An answer's headers with this rule's CORS headers in place of the upstream's; the gateway's own errors
   * get them, too.
   */
  permit(answer: FlatHeaders, request: HeaderLines): FlatHeaders {
    const own = withoutLines(answer, (name) => name.startsWith('access-control-'));
    // Caches must not hand one origin's permission to another, nor its absence.
    if (!this.#anybody) own.push('Vary', 'Origin');
    const allowed = this.#allowed(request);
    if (allowed === undefined) return own;
    own.push('Access-Control-Allow-Origin', allowed, ...this.#credentials());
    const { expose } = this.#rule;
    if (expose.length > 0) own.push('Access-Control-Expose-Headers', expose.join(', '));
    return own;
  }

  /** The value of Access-Control-Allow-Origin; undefined: no such header. */
  #allowed(headers: HeaderLines): string | undefined {
    const lines = headers.get('origin') ?? [];
    const [origin] = lines;
    // No host is given, so that no origin counts as the gateway's own: CORS does not apply to its own pages.
    if (origin === undefined || !this.#origins.allows(lines, '')) return undefined;
    return this.#anybody ? '*' : origin;
  }

  #credentials(): FlatHeaders {
    return this.#rule.credentials ? ['Access-Control-Allow-Credentials', 'true'] : [];
  }
}
