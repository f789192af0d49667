import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import type { Gateway } from '../../test/support/gateway/gateway.js';
import { peakRssBytes } from '../process-usage.js';

/** What bodies are made of: these bytes over and over. */
const PATTERN = randomBytes(2 ** 20);
/** Growth of the gateway's resident memory that a body of any size may cost. */
const MAX_GROWTH_BYTES = 32 * 2 ** 20;
const WARM_UP_BYTES = 100_000_000;

/**
 * An HTTP upstream that sends as many bytes as the path says, by length or chunked, and
 * checks those that it is sent.
 */
export async function startBodies(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((incoming, response) => {
    void serve(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, framing, size] = (incoming.url ?? '').split('/');
  if (incoming.method === 'PUT') return void response.end(String(await checked(incoming)));
  const bytes = Number(size);
  if (framing === 'length') response.setHeader('Content-Length', bytes);
  await generate(response, bytes);
}

async function generate(to: Writable, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= PATTERN.length)
    if (!to.write(left < PATTERN.length ? PATTERN.subarray(0, left) : PATTERN)) await once(to, 'drain');
  to.end();
}

/** @returns how many bytes came. @throws Error when one of them is wrong. */
async function checked(body: IncomingMessage): Promise<number> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; ) {
      const from = (bytes + at) % PATTERN.length;
      const length = Math.min(chunk.length - at, PATTERN.length - from);
      if (chunk.compare(PATTERN, from, from + length, at, at + length) !== 0)
        throw new Error(`a byte behind ${bytes + at} is wrong`);
      at += length;
    }
    bytes += chunk.length;
  }
  return bytes;
}

/**
 * Passes a body up and down, by length and chunked, through a gateway whose route `prefix`
 * leads to such an upstream.
 * @throws Error when it does not come whole and as it was, or the gateway holds more of it than it should.
 */
export async function passBodies(
  gateway: Gateway,
  prefix: string,
  token: string,
  bytes: number,
): Promise<void> {
  const passAll = async (size: number): Promise<void> => {
    for (const framing of ['length', 'chunked'] as const)
      for (const method of ['GET', 'PUT'] as const) {
        const url = `${gateway.http}${prefix}/${framing}/${size}`;
        const passed = await pass(url, method, framing, token, size);
        if (passed !== size) throw new Error(`${method} by ${framing}: ${passed} of ${size} bytes came`);
      }
  };
  // What passing anything takes is not what passing much takes.
  const usual = await peakRssBytes(gateway.pid, () => passAll(Math.min(bytes, WARM_UP_BYTES)));
  const peak = await peakRssBytes(gateway.pid, () => passAll(bytes));
  if (peak - usual > MAX_GROWTH_BYTES)
    throw new Error(`the gateway grew by ${Math.round((peak - usual) / 2 ** 20)} MB`);
}

async function pass(
  url: string,
  method: 'GET' | 'PUT',
  framing: 'length' | 'chunked',
  token: string,
  bytes: number,
): Promise<number> {
  const framed: Record<string, string> =
    method === 'GET'
      ? {}
      : framing === 'length'
        ? { 'Content-Length': String(bytes) }
        : { 'Transfer-Encoding': 'chunked' };
  const sent = request(url, {
    method,
    headers: { ...framed, Authorization: `Bearer ${token}` },
    agent: false,
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  if (method === 'PUT') await generate(sent, bytes);
  else sent.end();
  const [answer] = await answered;
  if (answer.statusCode !== 200) throw new Error(`${method}: status ${answer.statusCode}`);
  if (method === 'GET') return await checked(answer);
  let text = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) text += chunk.toString();
  return Number(text);
}
