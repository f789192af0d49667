/**
 * Holds sessions that say nothing: opens them, prints `open`, answers pings, and stays until it is ended.
 * Takes a `Hold` as its argument. One process of these has one descriptor a session.
 */
import { readFileSync } from 'node:fs';
import { openAll } from './crowd.js';
import { LoadConnection } from './load-connection.js';

export interface Hold {
  readonly port: number;
  readonly connections: number;
  /** Source address: each has its own ephemeral ports. */
  readonly localAddress: string;
  /** JSON list of tokens; connections take them in turn. */
  readonly tokenFile: string;
  readonly firstToken: number;
}

const hold = JSON.parse(process.argv[2] ?? '{}') as Hold;
const tokens = JSON.parse(readFileSync(hold.tokenFile, 'utf8')) as readonly string[];
const buffer = Buffer.allocUnsafe(65_536);
const { port, localAddress } = hold;
let nextToken = hold.firstToken;

await openAll(hold.connections, () => {
  const token = tokens[nextToken++ % tokens.length];
  const connection = new LoadConnection({
    port,
    path: '/echo',
    token,
    buffer,
    localAddress,
    onMessages: () => {},
  });
  void connection.closed.then(() => console.log('lost'));
  return connection;
});
console.log('open');
