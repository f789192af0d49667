import type { Config, Protocol, RouteTable } from '../../internal/config/config.js';
import { CONNECT_TYPE } from '../../internal/protocol/mqtt-connect.js';
import { encodeVarint } from '../../internal/protocol/mqtt-varint.js';
import type { RequestHead } from '../../internal/request/head.js';

/** Where a client can put its token. */
export const PLACES = ['password', 'header', 'cookie', 'query', 'subprotocol', 'message'] as const;
export type Place = (typeof PLACES)[number];

/** The client whose way in is looked at. */
export interface Client {
  /** As it stands in the request line, without the query. */
  readonly path: string;
  /** Without its `?`. */
  readonly query: string;
  readonly protocol: Protocol;
  readonly token: string | undefined;
  readonly place: Place;
  readonly origin: string | undefined;
  readonly host: string;
  readonly ip: string;
}

/** What a client of that protocol offers. */
const SUBPROTOCOLS: Readonly<Record<Protocol, string | undefined>> = {
  mqtt: 'mqtt',
  raw: undefined,
  stomp: 'v12.stomp',
  graphql: 'graphql-transport-ws',
};

/**
 * RFC 6455 §4.2.1: what the handshake of such a client looks like to the gateway. The cookies that
 * `bootstrap` gives are taken for granted.
 */
export function requestHead(
  client: Client,
  { credentials, listen }: Config,
  { routes }: Pick<RouteTable, 'routes'>,
): RequestHead {
  const { token, place, origin } = client;
  const headers = new Map<string, readonly string[]>([
    ['host', [client.host]],
    ['upgrade', ['websocket']],
    ['connection', ['Upgrade']],
    ['sec-websocket-version', ['13']],
    ['sec-websocket-key', [Buffer.alloc(16).toString('base64')]],
  ]);
  if (origin !== undefined) headers.set('origin', [origin]);
  const offered = [SUBPROTOCOLS[client.protocol]].filter((each) => each !== undefined);
  const cookies = routes.flatMap((route) =>
    route.kind === 'http' && route.bootstrap !== undefined
      ? [`${route.bootstrap.cookie}=taken-for-granted`]
      : [],
  );
  let { query } = client;
  if (token !== undefined) {
    const [headerName = 'authorization'] = credentials.headerNames;
    const [queryName = 'token'] = credentials.queryNames;
    const [announcement = 'bearer'] = credentials.subprotocolNames;
    if (place === 'header') headers.set(headerName, [`Bearer ${token}`]);
    if (place === 'cookie') cookies.push(`${credentials.cookieName}=${token}`);
    if (place === 'subprotocol') offered.unshift(announcement, token);
    if (place === 'query') {
      query = [query, `${queryName}=${encodeURIComponent(token)}`].filter((part) => part !== '').join('&');
    }
  }
  if (offered.length > 0) headers.set('sec-websocket-protocol', [offered.join(', ')]);
  if (cookies.length > 0) headers.set('cookie', [cookies.join('; ')]);
  return {
    method: 'GET',
    target: client.path,
    query,
    headers,
    peer: client.ip,
    secure: listen.tls !== undefined,
  };
}

/** What a plain HTTP request of such a client looks like. */
export function plainHead(
  client: Client,
  method: string,
  config: Config,
  table: Pick<RouteTable, 'routes'>,
): RequestHead {
  const { headers, ...head } = requestHead(client, config, table);
  const isOfSocket = (name: string) =>
    name.startsWith('sec-websocket-') || name === 'upgrade' || name === 'connection';
  return { ...head, method, headers: new Map([...headers].filter(([name]) => !isOfSocket(name))) };
}

/** The first message of such a client; undefined: it says nothing before the upstream does. */
export function firstMessage({ protocol, token, place }: Client): Uint8Array | string | undefined {
  const held = place === 'message' ? token : undefined;
  switch (protocol) {
    case 'mqtt':
      return connectPacket(place === 'password' ? token : undefined);
    case 'stomp': {
      const authorization = held === undefined ? [] : [`Authorization:Bearer ${held}`];
      return ['CONNECT', 'accept-version:1.2', 'host:/', ...authorization, '', '\0'].join('\n');
    }
    case 'graphql':
      return JSON.stringify({
        type: 'connection_init',
        ...(held === undefined ? {} : { payload: { Authorization: `Bearer ${held}` } }),
      });
    case 'raw':
      return held;
  }
}

const CLEAN_START = 0x02;
const PASSWORD = 0x40;
const KEEP_ALIVE_SECONDS = 60;

/** A CONNECT of MQTT 5.0 (§3.1), which may have a password without a user name. */
function connectPacket(password: string | undefined): Buffer {
  const body = Buffer.concat([
    field('MQTT'),
    Buffer.of(5, CLEAN_START | (password === undefined ? 0 : PASSWORD), 0, KEEP_ALIVE_SECONDS),
    // no properties
    Buffer.of(0),
    field('explain'),
    ...(password === undefined ? [] : [field(password)]),
  ]);
  return Buffer.concat([Buffer.of(CONNECT_TYPE), encodeVarint(body.length), body]);
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
