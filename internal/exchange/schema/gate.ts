import type { IncomingMessage } from 'node:http';
import type { CompiledEndpoint, CompiledSchemas } from '../../config/schemas/compiled.js';
import type { ExchangeRequest } from '../exchange-request.js';
import { ExchangeRefused } from '../problem.js';
import { RequestBody, type RequestBodyOptions } from '../request-body.js';
import { bodyErrors, checkedBodyLimit, errorsToShow, judgeContentType } from './body.js';
import { endpointOf, readsAsListed } from './endpoint.js';
import { queryErrors } from './query.js';

/**
 * Checks that a request is for an endpoint of the schema file, with a valid query (SPEC section 20).
 * @returns the endpoint whose schema the body has to match; undefined: the body passes unchecked.
 * @throws ExchangeRefused ERR_SCHEMA_PATH, ERR_SCHEMA_METHOD, ERR_SCHEMA, ERR_MEDIA_TYPE.
 */
export function checkEndpoint(
  schemas: CompiledSchemas,
  { method, rest, query, headers }: Pick<ExchangeRequest, 'method' | 'rest' | 'query' | 'headers'>,
): CompiledEndpoint | undefined {
  const verdict = endpointOf(schemas, method, rest);
  switch (verdict.kind) {
    case 'pass':
      // A listed endpoint must not be reached unchecked under such a name.
      if (readsAsListed(schemas, method, rest))
        throw new ExchangeRefused('ERR_SCHEMA_PATH', 'some upstreams take the path for that of a listed one');
      return undefined;
    case 'unknown path':
      throw new ExchangeRefused('ERR_SCHEMA_PATH', 'the schema file lists no such endpoint');
    case 'unknown method':
      throw new ExchangeRefused('ERR_SCHEMA_METHOD', `the schema file lists no ${method} of it`, [
        'Allow',
        verdict.allow,
      ]);
    case 'endpoint':
      break;
  }
  const { endpoint } = verdict;
  const errors = queryErrors(endpoint, query);
  if (errors !== undefined)
    throw new ExchangeRefused('ERR_SCHEMA', 'the query does not fit its schema', [], {
      errors: errorsToShow(errors, endpoint),
    });
  if (endpoint.body === undefined) return undefined;
  const fault = judgeContentType(headers);
  if (fault !== undefined)
    throw new ExchangeRefused(
      fault === 415 ? 'ERR_MEDIA_TYPE' : 'ERR_SCHEMA',
      'the body is not JSON in UTF-8',
    );
  return endpoint;
}

/**
 * Reads a body whole.
 * @param request undefined: there is no body.
 * @throws GatewayError, by rejecting: ERR_BODY_TOO_LARGE, ERR_CLIENT_LOST.
 */
export async function readWhole(
  request: IncomingMessage | undefined,
  maxBodyBytes: number,
  options: Omit<RequestBodyOptions, 'limitBytes'>,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  if (request === undefined) return Buffer.alloc(0);
  const body = new RequestBody(request, { ...options, limitBytes: checkedBodyLimit(maxBodyBytes) });
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** @throws ExchangeRefused ERR_SCHEMA. */
export function checkBody(endpoint: CompiledEndpoint, bytes: Buffer): void {
  const errors = bodyErrors(endpoint, bytes);
  if (errors === undefined) return;
  throw new ExchangeRefused('ERR_SCHEMA', 'the body does not fit its schema', [], {
    errors: errorsToShow(errors, endpoint),
  });
}
