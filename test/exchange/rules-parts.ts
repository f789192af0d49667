import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseRoutes } from '../../internal/config/routes/routes.js';
import { directory, linesOf, put } from '../config/files.js';
import { NO_BACKENDS } from '../config/route-defaults.js';
import { type HttpAnswer, http } from '../support/clients/http.js';
import { door, listening } from './parts.js';

/** What an upstream got. */
interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const SCHEMAS = `
endpoints:
  - method: POST
    path: /items
    body:
      type: object
      required: [name]
      properties: { name: { type: string, maxLength: 10 } }
      additionalProperties: false
    detail: true
  - { method: GET, path: "/items/{id}", query: { type: object, properties: { limit: { type: integer } }, additionalProperties: false } }
`;

/** The rules of routes before an upstream that tells what it got. */
export async function rules(t: TestContext, text: (upstream: string) => string) {
  const received: Received[] = [];
  const upstream = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      received.push({
        method,
        url,
        headers: headers as Record<string, string>,
        body: String(Buffer.concat(chunks)),
      });
      response.writeHead(200, [
        ...['Server', 'secret/1.0', 'X-Powered-By', 'x', 'ETag', '"1"', 'X-Frame-Options', 'SAMEORIGIN'],
        ...['Access-Control-Allow-Origin', '*', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
      ]);
      response.end('upstream');
    });
  });
  const port = await listening(t, upstream);
  const folder = directory(t);
  put(folder, 'api.yaml', SCHEMAS);
  mkdirSync(join(folder, 'site'));
  put(join(folder, 'site'), 'fox.txt', 'The quick brown fox');
  const parsed = parseRoutes(text(`http://127.0.0.1:${port}`), join(folder, 'routes.yaml'), {
    ...NO_BACKENDS,
    respondVariables: { NODE_NAME: 'node-1' },
  });
  assert.ok('table' in parsed, linesOf(parsed).join('\n'));
  const gateway = await door(t, { routes: parsed.table.routes });
  const ask = (path: string, options: Parameters<typeof http>[1] = {}) => http(gateway.url + path, options);
  const token = (claims: Record<string, unknown>) => gateway.issuer.sign(claims);
  return { ...gateway, received, ask, token };
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
/** Status and error code. */
export const codeOf = ({ status, body }: HttpAnswer) => [status, JSON.parse(body).code];
