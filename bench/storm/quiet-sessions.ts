/**
 * Sessions that stay while others come: each says 64 bytes five times a second and hears them again. Takes
 * port, path and their number, prints `{}` when all are open; then for each line of its standard input an
 * `Echoes` of the time since the line before.
 */
import { createInterface } from 'node:readline';
import { openAll } from '../crowd.js';
import { clientMessage } from '../frames.js';
import { LoadConnection } from '../load-connection.js';

export interface Echoes {
  readonly messages: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Sessions that have ended: none should. */
  readonly lost: number;
}

const EVERY_MS = 200;
const MESSAGE = clientMessage(64);

const [port, path = '/', count] = process.argv.slice(2);
const buffer = Buffer.allocUnsafe(65_536);
/** When each session said what it has not heard yet. */
const said = new Map<LoadConnection, number[]>();
let took: number[] = [];
let lost = 0;

const sessions = await openAll(Number(count), () => {
  const connection = new LoadConnection({
    port: Number(port),
    path,
    token: undefined,
    buffer,
    onMessages: (from, messages) => {
      const nowMs = performance.now();
      for (const sinceMs of said.get(from)?.splice(0, messages) ?? []) took.push(nowMs - sinceMs);
    },
  });
  said.set(connection, []);
  void connection.closed.then(() => lost++);
  return connection;
});
console.log('{}');

/** One after the other, so that they are spread over the time; who is late catches up. */
const startMs = performance.now();
let next = 0;
setInterval(() => {
  const due = ((performance.now() - startMs) / EVERY_MS) * sessions.length;
  for (; next < due; next++) {
    const session = sessions[next % sessions.length];
    if (session === undefined) continue;
    said.get(session)?.push(performance.now());
    session.send(MESSAGE);
  }
}, 1);

for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(echoes()));
process.exit(0);

function echoes(): Echoes {
  // Who has not heard yet has waited as long.
  const nowMs = performance.now();
  for (const waiting of said.values()) took.push(...waiting.map((sinceMs) => nowMs - sinceMs));
  const sorted = took.sort((a, b) => a - b);
  took = [];
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { messages: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), lost };
}
