import type { Identity } from '../auth/identity/identity.js';
import type { ExchangeRoute } from '../config/config.js';
import type { Client } from '../request/forwarded.js';
import type { HeaderLines } from '../request/head.js';

/** A plain HTTP request that has come to a route, as the rules of the route see it. */
export interface ExchangeRequest<R extends ExchangeRoute = ExchangeRoute> {
  readonly route: R;
  readonly method: string;
  /** Percent-decoded once. */
  readonly path: string;
  /** What follows the prefix in `path`, with its leading `/` if any. */
  readonly rest: string;
  /** Likewise, byte for byte as it came. */
  readonly rawRest: string;
  /** As it came, without its `?` and without the token's parameters. */
  readonly query: string;
  /** Without its `?`. */
  readonly queryAsSent: string;
  /** Whether it came as a `?` with nothing behind it. */
  readonly isQueryEmpty: boolean;
  /** By lower-case name, one character a byte. */
  readonly headers: HeaderLines;
  readonly client: Client;
}

/** Who makes the request, once that is known. */
export interface Caller {
  /** undefined: a public route and no token. */
  readonly identity: Identity | undefined;
  /** The token as it came; undefined: there is none, or a trusted header says who it is. */
  readonly token: string | undefined;
  /** Whether what says who it is came by itself, as a browser sends it: a cookie, or a trusted header. */
  readonly ambient: boolean;
}
