import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { OutboundHttp } from '../../internal/outbound/http.js';
import { type ProxySettings, proxyFor } from '../../internal/outbound/proxy.js';
import { makeCertificate } from '../support/certificate.js';
import { startForwardProxy } from '../support/servers/forward-proxy.js';
import { startIssuer } from '../support/servers/issuer.js';

const settings = (own: Partial<ProxySettings>): ProxySettings => ({
  http: undefined,
  https: undefined,
  except: [],
  ...own,
});

describe('the proxy of an address', () => {
  const both = { http: 'http://plain:3128', https: 'tls.example:8080' };
  const through = (address: string, ...except: string[]) =>
    proxyFor(new URL(address), settings({ ...both, except }))?.host;

  it('is that of its scheme', () => {
    assert.equal(through('http://a'), 'plain:3128');
    assert.equal(through('https://a'), 'tls.example:8080');
    assert.equal(proxyFor(new URL('https://a'), settings({ http: 'http://p' })), undefined);
  });

  it('is none for what NO_PROXY names, with all below it, and for nothing else', () => {
    for (const entry of [
      '*',
      'example.com',
      '.example.com',
      '*.example.com',
      'EXAMPLE.com',
      'example.com:443',
    ])
      assert.equal(through('https://id.example.com/jwks', entry), undefined, entry);
    for (const entry of [
      'ample.com',
      'xample.com',
      'id.example.com.evil',
      'example.com:80',
      'com.example',
      '10.0.0.0/8',
    ])
      assert.equal(through('https://id.example.com/jwks', entry), 'tls.example:8080', entry);
    for (const entry of ['10.1.2.3', '10.0.0.0/8', '10.1.2.3:80', '10.1.2.2/31'])
      assert.equal(through('http://10.1.2.3/', entry), undefined, entry);
    for (const entry of ['1.2.3', '.2.3', '10.1.2.0/31', '10.1.2.3:81', '10.0.0.0/99', 'fd00::/8'])
      assert.equal(through('http://10.1.2.3/', entry), 'plain:3128', entry);
    for (const entry of ['fd00::1', '[fd00::1]', '[fd00::1]:80', 'fd00::/8'])
      assert.equal(through('http://[fd00::1]/', entry), undefined, entry);
  });
});

describe('what the gateway asks for itself', () => {
  const ask = (http: OutboundHttp, url: string) =>
    http.request(new URL(url), { signal: AbortSignal.timeout(5_000), limitBytes: 100_000 });

  it('goes through the proxy as a whole address, with its credentials, or directly', async (t) => {
    const [proxy, issuer] = await Promise.all([startForwardProxy(), startIssuer()]);
    t.after(() => Promise.all([proxy.close(), issuer.close()]));
    const withLogin = proxy.url.replace('//', '//me:p%40ss@');
    const { status, body } = await ask(new OutboundHttp(settings({ http: withLogin })), issuer.jwksUrl);
    assert.equal(status, 200);
    assert.ok(JSON.parse(body.toString()).keys.length > 0);
    const login = Buffer.from('me:p@ss').toString('base64');
    assert.deepEqual(proxy.asked, [`GET ${issuer.jwksUrl} Basic ${login}`]);
    const direct = new OutboundHttp(settings({ http: proxy.url, except: ['127.0.0.1'] }));
    assert.equal((await ask(direct, issuer.jwksUrl)).status, 200);
    assert.equal(proxy.asked.length, 1);
  });

  it('goes through a tunnel to https, whose certificate is checked all the same', async (t) => {
    const [proxy, certificate] = await Promise.all([startForwardProxy(), makeCertificate('localhost')]);
    const options = { cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) };
    const server = createServer(options, (_request, answer) => answer.end('{}')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(async () => {
      server.close();
      await Promise.all([proxy.close(), certificate.remove()]);
    });
    const { port } = server.address() as AddressInfo;
    await assert.rejects(
      ask(new OutboundHttp(settings({ https: proxy.url })), `https://127.0.0.1:${port}/jwks`),
      /self.signed/,
    );
    assert.deepEqual(proxy.asked, [`CONNECT 127.0.0.1:${port}`]);
  });

  it('does not follow redirects, read other bodies or more than it was told to', async (t) => {
    const issuer = await startIssuer();
    t.after(() => issuer.close());
    const http = new OutboundHttp(settings({}));
    issuer.mode = '302';
    assert.deepEqual(await ask(http, issuer.jwksUrl), { status: 302, body: Buffer.alloc(0) });
    assert.equal(issuer.strayHits, 0);
    issuer.mode = 'huge';
    await assert.rejects(ask(http, issuer.jwksUrl), /more than 100000 bytes/);
  });
});
