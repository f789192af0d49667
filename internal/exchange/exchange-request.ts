import type { Identity } from '../auth/identity/identity.js';
import type { ExchangeRoute } from '../config/config.js';
import type { Client } from '../request/forwarded.js';
import type { HeaderLines } from '../request/head.js';

/** An HTTP request and its route. */
export interface ExchangeRequest<R extends ExchangeRoute = ExchangeRoute> {
  readonly route: R;
  readonly method: string;
  /** Percent-decoded once. */
  readonly path: string;
  /** What follows the prefix in `path`, with its leading `/` if any. */
  readonly rest: string;
  /** Likewise, not decoded. */
  readonly rawRest: string;
  /** As it came, without its `?` and without the token's parameters. */
  readonly query: string;
  /** Without its `?`. */
  readonly queryAsSent: string;
  /** Whether the target ends with a `?`. */
  readonly isQueryEmpty: boolean;
  /** By lower-case name, one character a byte. */
  readonly headers: HeaderLines;
  readonly client: Client;
}

/** The authenticated caller of a request. */
export interface Caller {
  /** undefined: a public route and no token. */
  readonly identity: Identity | undefined;
  /** The token as it came; undefined: there is none, or a trusted header says who it is. */
  readonly token: string | undefined;
  /** Whether a browser adds the credentials by itself: a cookie, or a trusted header. */
  readonly ambient: boolean;
}
