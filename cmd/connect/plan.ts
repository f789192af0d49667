import type { ClientOptions } from 'ws';

/** Where a client can put its token. */
export const PLACES = ['header', 'query', 'cookie', 'subprotocol', 'message', 'password'] as const;

/** One connection, as the command line describes it. */
export interface ConnectPlan {
  readonly url: string;
  readonly token: string | undefined;
  readonly place: (typeof PLACES)[number];
  readonly subprotocols: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly origin: string | undefined;
  /** Whether any certificate will do. */
  readonly insecure: boolean;
  /** How long the connection stays when there is nothing more to say, in milliseconds. */
  readonly lingerMs: number;
  /** Whether a person sits at the terminal. */
  readonly prompts: boolean;
}

/** The handshake of a plan, in the words of `ws`; the places are the gateway's defaults. */
export function handshakeOf(plan: ConnectPlan): {
  readonly url: string;
  readonly subprotocols: string[];
  readonly options: ClientOptions;
} {
  const { token, place, insecure, origin } = plan;
  const url = new URL(plan.url);
  const headers: Record<string, string> = { ...plan.headers };
  const subprotocols = [...plan.subprotocols];
  if (token !== undefined) {
    if (place === 'header') headers.Authorization = `Bearer ${token}`;
    if (place === 'cookie') headers.Cookie = `session=${token}`;
    if (place === 'query') url.searchParams.set('token', token);
    if (place === 'subprotocol') subprotocols.unshift('bearer', token);
  }
  return {
    url: url.href,
    subprotocols,
    options: { headers, rejectUnauthorized: !insecure, ...(origin === undefined ? {} : { origin }) },
  };
}
