import assert from 'node:assert/strict';
import fs, { mkdirSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { hasUpstreams } from '../../../internal/config/config.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { BROKEN_CERTIFICATE, makeCertificate, weaken } from '../../support/certificate.js';
import { certificate, directory, linesOf, put } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

const problemsOf = (text: string) => linesOf(parseRoutes(text, 'routes.yaml', NO_BACKENDS));

function routesOf(text: string, fileName = 'routes.yaml') {
  const result = parseRoutes(text, fileName, NO_BACKENDS);
  assert.ok('table' in result, linesOf(result).join('\n'));
  return result.table.routes.filter(hasUpstreams);
}

describe('the tls of a route', () => {
  const entry = (tls: object, upstream: unknown = 'wss://a') =>
    JSON.stringify([{ prefix: '/a', upstream, tls }]);

  it('holds the contents of its files, found from the directory of the routes file', async (t) => {
    const folder = directory(t);
    mkdirSync(join(folder, 'tls'));
    const { cert, key } = await certificate(join(folder, 'tls'), 'a');
    const text = entry({ caFile: 'tls/a.crt', certFile: cert, keyFile: key });
    const [route] = routesOf(text, join(folder, 'routes.yaml'));
    assert.match(route?.tls?.ca ?? '', /BEGIN CERTIFICATE/);
    assert.equal(route?.tls?.cert, route?.tls?.ca);
    assert.match(route?.tls?.key ?? '', /BEGIN PRIVATE KEY/);
  });

  it('is refused for an upstream without TLS', () => {
    for (const upstream of ['ws://a', ['wss://a', 'ws://b'], 'WS://a']) {
      assert.match(problemsOf(entry({}, upstream))[0] ?? '', /^routes.yaml:1: tls: goes with wss/);
    }
  });

  it('names each file that cannot be used, and never its content', async (t) => {
    const folder = directory(t);
    const a = await certificate(folder, 'a');
    const b = await certificate(folder, 'b');
    const weak = await makeCertificate('weak.example');
    t.after(() => weak.remove());
    await weaken(weak);
    const chain = put(folder, 'chain.pem', readFileSync(a.cert, 'utf8') + BROKEN_CERTIFICATE);
    const cases: [object, RegExp][] = [
      [{ caFile: join(folder, 'none') }, /tls.caFile: .* does not exist/],
      [{ caFile: folder }, /tls.caFile: .* is not a regular file/],
      [{ caFile: put(folder, 'bad', 'hunter2') }, /tls.caFile: .* holds no certificate/],
      [{ certFile: a.cert }, /tls.certFile: needs keyFile/],
      [{ keyFile: a.key }, /tls.keyFile: needs certFile/],
      [{ certFile: a.cert, keyFile: b.key }, /tls.keyFile: .* is not the key of the certificate/],
      [{ certFile: a.cert, keyFile: a.cert }, /tls.keyFile: .* holds no private key/],
      [{ caFile: chain }, /tls.caFile: .* holds a broken certificate, number 2 of the 2/],
      [{ certFile: chain, keyFile: a.key }, /tls.certFile: .* holds a broken certificate, number 2 of the 2/],
      [{ certFile: weak.certFile, keyFile: weak.keyFile }, /tls.certFile: .* key is too short for TLS/],
    ];
    for (const [keys, message] of cases) {
      const lines = problemsOf(entry(keys));
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0] ?? '', message);
      assert.doesNotMatch(lines[0] ?? '', /hunter2|BEGIN/);
    }
  });

  it('costs the work on its files once, however many routes have the same', async (t) => {
    const folder = directory(t);
    const { cert, key } = await certificate(folder, 'a');
    const made = t.mock.method(tls, 'createSecureContext');
    const read = t.mock.method(fs, 'readFileSync');
    syncBuiltinESMExports();
    t.after(syncBuiltinESMExports);
    const many = Array.from({ length: 1000 }, (_, at) => ({
      prefix: `/r${at}/`,
      upstream: 'wss://a',
      tls: { caFile: cert, certFile: cert, keyFile: key },
    }));
    assert.equal(routesOf(JSON.stringify(many)).length, 1000);
    assert.equal(made.mock.callCount(), 1);
    assert.equal(read.mock.callCount(), 2);
  });
});
