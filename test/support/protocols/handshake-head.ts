import type { RequestHead } from '../../../internal/request/head.js';

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export type HeadLines = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A right opening handshake for /rpc; undefined takes a header away. */
export function handshakeHead(lines: HeadLines = {}, changes: Partial<RequestHead> = {}): RequestHead {
  const all: HeadLines = {
    host: 'gw.example:8080',
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': KEY,
    'sec-websocket-version': '13',
    ...lines,
  };
  const headers = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(all))
    if (value !== undefined) headers.set(name, typeof value === 'string' ? [value] : value);
  return {
    method: 'GET',
    target: '/rpc',
    query: '',
    headers,
    peer: '203.0.113.9',
    secure: false,
    ...changes,
  };
}
