import type { IncomingMessage } from 'node:http';
import type { Body } from '../endpoint.js';

/** Time for the whole body of a request to one of the gateway's own endpoints. */
const BODY_TIMEOUT_MS = 10_000;

/** Collects the body, up to `limitBytes`. Never rejects. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => request.destroy(), BODY_TIMEOUT_MS);
    const settle = (body: Body) => {
      clearTimeout(timer);
      resolve(body);
    };
    request
      .on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > limitBytes) {
          chunks.length = 0;
          settle('too-large');
        } else chunks.push(chunk);
      })
      .once('end', () => settle(length > limitBytes ? 'too-large' : Buffer.concat(chunks)))
      .once('close', () => settle('aborted'))
      .on('error', () => settle('aborted'));
  });
}
