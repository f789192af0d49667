import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Gateway } from '../../test/support/gateway/gateway.js';
import type { Issuer } from '../../test/support/servers/issuer.js';
import { peakRssBytes } from '../process-usage.js';
import { beforeUpstream } from './before-upstream.js';

/** What a body that passes adds to the gateway's resident memory, in MB. */
export interface Growth {
  /** At most, beyond what it ever was while a tenth as much passed. */
  readonly up: number;
  readonly down: number;
  /**
   * Likewise, beyond what it was when the upload began, which may be less: V8 gives memory
   * back when nothing happens.
   */
  readonly upFromRest: number;
  readonly downFromRest: number;
}

const PIECE = Buffer.alloc(1 << 20, 'x');
/** Whoever takes a body rests for so long after each of its pieces. */
const REST_MS = 5;

/** Uploads a body to a slow upstream and has a slow client download one, and a tenth as much before. */
export async function growthOfTransfers(issuer: Issuer, megabytes: number): Promise<Growth> {
  const upstream = createServer(async (request, response) => {
    if (request.method === 'PUT') {
      await takeSlowly(request);
      response.end();
    } else await send(response, Number(request.url?.slice(1)));
  });
  const rules = { maxBodyBytes: 0 };
  return beforeUpstream({ upstream, issuer, rules }, async (gateway, headers) => {
    const up = async (many: number) => {
      const sent = httpRequest(`${gateway.http}/`, {
        ...{ method: 'PUT', agent: false },
        headers: { ...headers, 'Content-Length': many * PIECE.length },
      });
      const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
      await send(sent, many);
      const [answer] = await answered;
      answer.resume();
    };
    const down = async (many: number) => {
      const sent = httpRequest(`${gateway.http}/${many}`, { headers, agent: false }).end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      await takeSlowly(answer);
    };
    const warm = Math.ceil(megabytes / 10);
    const small = {
      up: await memoryDuring(gateway, () => up(warm)),
      down: await memoryDuring(gateway, () => down(warm)),
    };
    const large = {
      up: await memoryDuring(gateway, () => up(megabytes)),
      down: await memoryDuring(gateway, () => down(megabytes)),
    };
    return {
      up: large.up.peak - small.up.peak,
      down: large.down.peak - small.down.peak,
      upFromRest: large.up.peak - large.up.before,
      downFromRest: large.down.peak - large.down.before,
    };
  });
}

/** Resident memory before some work, and the most there was during it, in MB. */
async function memoryDuring(
  gateway: Gateway,
  work: () => Promise<void>,
): Promise<{ readonly before: number; readonly peak: number }> {
  const before = await gateway.rssBytes();
  const peak = await peakRssBytes(gateway.pid, work);
  return { before: before / 1e6, peak: peak / 1e6 };
}

async function send(to: Writable, pieces: number): Promise<void> {
  for (let sent = 0; sent < pieces; sent++) if (!to.write(PIECE)) await once(to, 'drain');
  to.end();
}

async function takeSlowly(from: IncomingMessage): Promise<void> {
  let taken = 0;
  for await (const chunk of from as AsyncIterable<Buffer>) {
    taken += chunk.length;
    if (taken < PIECE.length) continue;
    taken = 0;
    await pause(REST_MS);
  }
}
