/**
 * MQTT clients that all come at once, each with a token of its own, and come again until they are in.
 * Takes a JSON `Crowd` as its argument. Of its standard input it takes `come PORT PATH`: all come to
 * that port within a second, and it prints a `Storm` when the last is in; and `go`: all are cut off at
 * once, and it prints `{}`.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Visitor } from './visitor.js';

export interface Crowd {
  readonly clients: number;
  /** JSON list of tokens, one a client. */
  readonly tokenFile: string;
}

/** How a crowd came in. */
export interface Storm {
  /** From the first one's knock to the CONNACK of the last. */
  readonly allInMs: number;
  /** When half of them were in. */
  readonly halfInMs: number;
  /** From the first one's first knock to the last one's. */
  readonly cameMs: number;
  /** Connections that ended before they were in, by how. */
  readonly refused: Readonly<Record<string, number>>;
  /** Clients that needed more than one connection. */
  readonly cameBack: number;
  /** The most connections that any one needed. */
  readonly mostTries: number;
  /** That ended after they were in, while others still came. */
  readonly lost: number;
}

const ALL_COME_WITHIN_MS = 1000;
/** The pauses of clients that were turned away: 1 s, 2 s, 4 s, then 8 s each, and as much again at random. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 8000;

const { clients, tokenFile } = JSON.parse(process.argv[2] ?? '{}') as Crowd;
const tokens = JSON.parse(readFileSync(tokenFile, 'utf8')) as readonly string[];
const visitors = new Set<Visitor>();

for await (const line of createInterface({ input: process.stdin })) {
  const [command, port, path] = line.split(' ');
  console.log(JSON.stringify(command === 'come' ? await come(Number(port), path ?? '/') : await go()));
}
process.exit(0);

function come(port: number, path: string): Promise<Storm> {
  const startMs = performance.now();
  const refused: Record<string, number> = {};
  const tries = new Uint16Array(clients);
  let [inside, lost, cameMs, halfInMs] = [0, 0, 0, 0];
  return new Promise((resolve) => {
    const knock = (number: number): void => {
      if (tries[number] === 0) cameMs = performance.now() - startMs;
      const attempt = (tries[number] ?? 0) + 1;
      tries[number] = attempt;
      let isIn = false;
      const onIn = (): void => {
        isIn = true;
        if (++inside === Math.ceil(clients / 2)) halfInMs = performance.now() - startMs;
        if (inside < clients) return;
        const allInMs = performance.now() - startMs;
        const cameBack = tries.filter((times) => times > 1).length;
        resolve({ allInMs, halfInMs, cameMs, refused, cameBack, mostTries: Math.max(...tries), lost });
      };
      const onEnd = (how: string): void => {
        visitors.delete(visitor);
        if (isIn) return void lost++;
        refused[how] = (refused[how] ?? 0) + 1;
        const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
        setTimeout(knock, pauseMs * (1 + Math.random()), number);
      };
      const token = tokens[number] ?? '';
      const visitor = new Visitor({ port, path, clientId: `device-${number}`, token, onIn, onEnd });
      visitors.add(visitor);
    };
    for (let number = 0; number < clients; number++)
      setTimeout(knock, (ALL_COME_WITHIN_MS * number) / clients, number);
  });
}

async function go(): Promise<object> {
  for (const visitor of visitors) visitor.cut();
  while (visitors.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  return {};
}
