import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { compiledSchemas } from '../../../internal/config/schemas/compiled.js';
import { readSchemas } from '../../../internal/config/schemas/read.js';
import {
  bodyErrors,
  checkedBodyLimit,
  errorsToShow,
  judgeContentType,
} from '../../../internal/exchange/schema/body.js';
import { endpointOf } from '../../../internal/exchange/schema/endpoint.js';
import { checkEndpoint } from '../../../internal/exchange/schema/gate.js';
import { queryErrors } from '../../../internal/exchange/schema/query.js';
import { directory, put } from '../../config/files.js';

function schemasOf(t: TestContext, file: object) {
  const folder = directory(t);
  put(folder, 'api.json', JSON.stringify(file));
  const read = readSchemas('api.json', folder);
  assert.ok('schemas' in read, JSON.stringify(read));
  return compiledSchemas(read.schemas);
}

const ENDPOINTS = [
  { method: 'GET', path: '/' },
  { method: 'GET', path: '/items/{id}' },
  { method: 'PUT', path: '/items/{id}' },
  { method: 'POST', path: '/items' },
  { method: 'GET', path: '/items/' },
];

describe('the endpoint of a request', () => {
  it('is found by method and path, HEAD as GET', (t) => {
    const schemas = schemasOf(t, { endpoints: ENDPOINTS });
    for (const [method, rest, index] of [
      ['GET', '', '/'],
      ['GET', '/', '/'],
      ['GET', '/items/7', 'items/{}'],
      ['HEAD', '/items/7', 'items/{}'],
      ['PUT', '/items/a b', 'items/{}'],
      ['POST', '/items', 'items'],
      ['GET', '/items/', 'items/'],
    ] as const) {
      const verdict = endpointOf(schemas, method, rest);
      assert.ok(verdict.kind === 'endpoint', rest);
      assert.equal(verdict.endpoint.segments.map((one) => one ?? '{}').join('/') || '/', index);
    }
  });

  it('that is not listed is unknown, its method with those there are', (t) => {
    const schemas = schemasOf(t, { endpoints: ENDPOINTS });
    for (const rest of ['/x', '/items/1/2', '/Items/1', '//', '/items//'])
      assert.deepEqual(endpointOf(schemas, 'GET', rest), { kind: 'unknown path' }, rest);
    assert.deepEqual(endpointOf(schemas, 'DELETE', '/items/1'), {
      kind: 'unknown method',
      allow: 'GET, HEAD, PUT',
    });
    assert.deepEqual(endpointOf(schemas, 'GET', '/items'), { kind: 'unknown method', allow: 'POST' });
  });

  it('may pass where the file says so', (t) => {
    const schemas = schemasOf(t, { unknown: 'pass', endpoints: ENDPOINTS });
    assert.deepEqual(endpointOf(schemas, 'GET', '/x'), { kind: 'pass' });
    assert.deepEqual(endpointOf(schemas, 'DELETE', '/items/1'), { kind: 'pass' });
  });

  it('does not pass unseen under a name that some upstreams take for a listed one', (t) => {
    const schemas = schemasOf(t, { unknown: 'pass', endpoints: ENDPOINTS });
    const check = (method: string, rest: string) => () =>
      checkEndpoint(schemas, { method, rest, query: '', headers: new Map() });
    for (const rest of ['/items;', '/items;x=1', '/;x/items', '/items/', '/Items', '/ITEMS/;x'])
      assert.throws(check('POST', rest), /some upstreams take/, rest);
    assert.throws(check('PUT', '/items/7/'), /some upstreams take/);
    assert.throws(check('HEAD', '/items'), /some upstreams take/, 'listed with a slash');
    for (const rest of ['/other;x', '/other/', '/Other'])
      assert.equal(check('POST', rest)(), undefined, rest);
    for (const rest of ['/Items/7', '/items/7/', '/items/'])
      assert.equal(check('DELETE', rest)(), undefined, `${rest} of a method that is not listed`);
  });
});

function endpointWith(t: TestContext, keys: object) {
  const [endpoint] = schemasOf(t, { endpoints: [{ method: 'POST', path: '/', ...keys }] }).endpoints;
  assert.ok(endpoint);
  return endpoint;
}

describe('a query', () => {
  const schema = {
    type: 'object',
    properties: {
      limit: { type: 'integer', minimum: 1 },
      ratio: { $ref: '#/$defs/ratio' },
      on: { type: 'boolean' },
      name: { type: 'string' },
      either: { type: ['integer', 'string'] },
      level: { enum: [1, 2] },
      tags: { type: 'array', items: { type: 'integer' } },
    },
    additionalProperties: false,
    $defs: { ratio: { type: 'number' } },
  };

  it("has numbers and truth values in JSON's words only", (t) => {
    const endpoint = endpointWith(t, { query: schema });
    for (const query of [
      '',
      'limit=5',
      'limit=5e0',
      'ratio=-0.5e1',
      'on=true',
      'name=7',
      'either=7',
      'level=2',
      'tags=1&tags=2',
      'name=a%20b+c',
      '&&limit=1&',
    ])
      assert.equal(queryErrors(endpoint, query), undefined, query);
    for (const query of [
      'limit=0',
      'limit=05',
      'limit=+5',
      'limit=0x5',
      'limit=%205',
      'limit=',
      'limit',
      'limit=1.5',
      'limit=1e400',
      'ratio=.5',
      'ratio=NaN',
      'ratio=1,5',
      'on=1',
      'on=TRUE',
      'on=',
      'level=3',
      'level=x',
      'tags=1',
      'tags=1&tags=x',
      'limit=1&limit=2',
      'other=1',
      '__proto__=1',
      'constructor=1',
      'name=%ff',
      '%zz=1',
    ])
      assert.notEqual(queryErrors(endpoint, query), undefined, query);
  });

  it('says which parameter is wrong', (t) => {
    const endpoint = endpointWith(t, { query: { ...schema, required: ['limit'] } });
    assert.equal(queryErrors(endpoint, '')?.[0]?.path, '/limit');
    assert.equal(queryErrors(endpoint, 'limit=x')?.[0]?.path, '/limit');
  });
});

describe('the body of a request', () => {
  const type = (value: string | undefined, more: Record<string, string> = {}) =>
    judgeContentType(
      new Map(
        Object.entries({ ...(value === undefined ? {} : { 'content-type': value }), ...more }).map(
          ([name, text]) => [name, [text]],
        ),
      ),
    );

  it('is JSON by its type', () => {
    for (const value of [
      'application/json',
      'Application/JSON; charset=UTF-8',
      'application/problem+json',
      'application/vnd.api+json;charset="utf-8"',
    ])
      assert.equal(type(value), undefined, value);
    for (const value of [
      undefined,
      '',
      'text/plain',
      'text/json',
      'application/jsonp',
      'application/json-seq',
      'application/x-www-form-urlencoded',
      'application/xml+jsonx',
      'multipart/form-data',
    ])
      assert.equal(type(value), 415, value);
    for (const value of ['application/json; charset=utf-16', 'application/json;charset=latin1'])
      assert.equal(type(value), 400, value);
    for (const value of [
      'application/json; charset=utf-8; charset=utf-7',
      'application/json; charset=utf-8; charset=utf-8',
      'application/json; x="; charset=utf-8"; charset=utf-7',
      'application/json; x="a"',
      'application/json; charset="utf-8; x="',
      'application/json; charset=utf-8"',
      "application/json; charset=utf-8; charset*=utf-7''x",
    ])
      assert.equal(type(value), 415, value);
    assert.equal(type('application/json; profile=x; charset="UTF-8"'), undefined);
    assert.equal(type('application/json', { 'content-encoding': 'gzip' }), 415);
    assert.equal(type('application/json', { connection: 'keep-alive, x-content-type' }), undefined);
    for (const more of [
      { connection: 'keep-alive, Content-Type' },
      { content_type: 'text/xml' },
      { 'content.type': 'application/json' },
      { content_encoding: 'gzip' },
    ])
      assert.equal(type('application/json', more), 415, JSON.stringify(more));
    assert.equal(judgeContentType(new Map([['content-type', ['application/json', 'text/plain']]])), 415);
  });

  it('is read up to a mebibyte, or what the route allows', () => {
    assert.deepEqual([0, 100, 10_485_760].map(checkedBodyLimit), [1_048_576, 100, 1_048_576]);
  });

  it('is held against the schema', (t) => {
    const endpoint = endpointWith(t, { body: { type: 'object', required: ['a', 'b'] } });
    assert.equal(bodyErrors(endpoint, Buffer.from('{"a":1,"b":2}')), undefined);
    for (const body of [
      '',
      '{',
      '[]',
      '{"a":1}',
      '{"a":1,"b":1,"b":2}',
      '\uFEFF{"a":1,"b":2}',
      '['.repeat(10_000),
    ])
      assert.notEqual(bodyErrors(endpoint, Buffer.from(body)), undefined, body.slice(0, 20));
    assert.notEqual(bodyErrors(endpoint, Buffer.from('{"a":1,"b":2}', 'utf16le')), undefined);
  });

  it('shows the place of the first error, or all with words where the endpoint says so', (t) => {
    const body = { type: 'object', required: ['a', 'b'] };
    const plain = endpointWith(t, { body });
    const detailed = endpointWith(t, { body, detail: true });
    const bytes = Buffer.from('{}');
    assert.deepEqual(errorsToShow(bodyErrors(plain, bytes) ?? [], plain), [{ path: '/a' }]);
    assert.deepEqual(errorsToShow(bodyErrors(detailed, bytes) ?? [], detailed), [
      { path: '/a', message: "must have required property 'a'" },
      { path: '/b', message: "must have required property 'b'" },
    ]);
  });
});
