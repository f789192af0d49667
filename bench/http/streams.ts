import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Issuer } from '../../test/support/servers/issuer.js';
import { beforeUpstream } from './before-upstream.js';

export interface IdleStreams {
  readonly count: number;
  /** Growth of the gateway's resident memory for each, in KB. */
  readonly kilobytesEach: number;
}

/** How long they have said nothing when they are weighed. */
const IDLE_MS = 10_000;

/** Opens event streams through a gateway of their own, a tenth as many before memory is looked at first. */
export async function idleStreams(issuer: Issuer, count: number): Promise<IdleStreams> {
  const upstream = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: 1\n\n');
  });
  const rules = { timeouts: { idle: 600 } };
  return beforeUpstream({ upstream, issuer, rules }, async (gateway, headers) => {
    const open = async (): Promise<void> => {
      const sent = request(`${gateway.http}/`, { headers, agent: false }).end();
      sent.on('error', () => {});
      const [answer] = await once(sent, 'response');
      await once(
        answer.on('error', () => {}),
        'data',
      );
    };
    const openAll = async (many: number) => {
      for (let at = 0; at < many; at += 50) await Promise.all(Array.from({ length: 50 }, open));
    };
    await openAll(Math.ceil(count / 10));
    await pause(IDLE_MS);
    const before = await gateway.rssBytes();
    await openAll(count);
    await pause(IDLE_MS);
    return { count, kilobytesEach: ((await gateway.rssBytes()) - before) / 1024 / count };
  });
}
