import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('the Origin check', () => {
  let issuer: Issuer;
  let echo: Upstream;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
  });
  after(async () => {
    await echo.close();
    await issuer.close();
  });

  /** Runs `work` against a gateway with these origins allowed. */
  async function withOrigins(
    env: Readonly<Record<string, string>>,
    work: (
      statusFor: (...headers: string[]) => Promise<number | undefined>,
      gateway: Gateway,
    ) => Promise<void>,
  ): Promise<void> {
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ...env },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    try {
      await work(async (...headers) => {
        const { client, answer } = await exchange(
          gateway.port,
          handshakeHead(gateway.port, '/echo', headers),
        );
        client.destroy();
        return answer?.status;
      }, gateway);
      await assertQuiet(gateway, { upstreams: [echo] });
      assert.equal(echo.sessions.length, 0, 'a refused origin dials nothing');
    } finally {
      await gateway.stop();
    }
  }

  it('compares scheme, whole host labels and port with the list', async () => {
    const list = [
      'https://app.example.com',
      'https://*.example.com',
      'plain.example.net',
      '*.corp.example.net',
      'http://localhost:*',
      'https://odd.example.org:8443',
    ].join(', ');
    const allowed = [
      'https://app.example.com',
      'https://app.example.com:443',
      'https://a.b.example.com',
      'https://A.EXAMPLE.COM',
      'HTTPS://a.example.com',
      'https://plain.example.net',
      'https://x.corp.example.net',
      'http://localhost',
      'http://localhost:3000',
      'https://odd.example.org:8443',
    ];
    const refused = [
      'https://example.com',
      'https://evil-example.com',
      'https://evilexample.com',
      'https://example.com.evil.com',
      'https://a.example.com.evil.com',
      'https://x.example.com@evil.com',
      'https://evil.com/.example.com',
      'https://evil.com#.example.com',
      'https://evil.com?.example.com',
      'https://evil.com\\.example.com',
      'http://a.example.com',
      'wss://a.example.com',
      'https://a.example.com:8443',
      'https://a.example.com.',
      'https://.example.com',
      'https://xn--exmple-cua.com',
      'https://ex\u00e4mple.com',
      'a.example.com',
      '*.example.com',
      'http://plain.example.net',
      'https://corp.example.net',
      'https://localhost:3000',
      'http://localhost.evil.com:3000',
      'http://localhost:3000@evil.com',
      'https://odd.example.org',
      'null',
      'NULL',
      '',
      'https://',
      'https://a.example.com, https://evil.com',
      'https://a.example.com https://evil.com',
      'file://',
    ];
    await withOrigins({ WS_ALLOWED_ORIGINS: list }, async (statusFor) => {
      const seen: Record<string, number | undefined> = {};
      for (const origin of [...allowed, ...refused]) seen[origin] = await statusFor(`Origin: ${origin}`);
      const expected = Object.fromEntries([
        ...allowed.map((origin) => [origin, 101]),
        ...refused.map((origin) => [origin, 403]),
      ]);
      // An empty Origin may count as none.
      expected[''] = seen[''] === 101 ? 101 : 403;
      assert.deepEqual(seen, expected);
      assert.equal(await statusFor(), 101, 'no Origin: no browser');
      const twice = await statusFor('Origin: https://app.example.com', 'Origin: https://evil.example');
      assert.ok(twice === 400 || twice === 403, `two Origins: ${twice}`);
      assert.equal(
        await statusFor(`Origin: https://${'a.'.repeat(4000)}example.com.evil`),
        403,
        'a long one',
      );
    });
  });

  it('without a list allows the host and port of the request alone, cookie or not', async () => {
    await withOrigins({}, async (statusFor, gateway) => {
      const cookie = `Cookie: session=${issuer.sign()}`;
      assert.equal(await statusFor(`Origin: http://127.0.0.1:${gateway.port}`), 101);
      for (const origin of [
        'https://evil.example',
        'http://127.0.0.1',
        `http://127.0.0.1:${gateway.port + 1}`,
        `http://localhost:${gateway.port}`,
        `http://127.0.0.1:${gateway.port}.evil.example`,
        `http://127.0.0.1:${gateway.port}@evil.example`,
        'null',
      ])
        assert.equal(await statusFor(cookie, `Origin: ${origin}`), 403, origin);
    });
  });

  it('lets in its own pages beside the list, apps that are listed, and compares the scheme where it is known', async () => {
    await withOrigins(
      { WS_ALLOWED_ORIGINS: 'https://app.example.com, capacitor://localhost, file://' },
      async (statusFor, gateway) => {
        const own = `127.0.0.1:${gateway.port}`;
        const matrix: readonly [number, ...string[]][] = [
          [101, `Origin: http://${own}`],
          // What paho sends to a broker without TLS.
          [101, `Origin: https://${own}`],
          [101, 'Origin: https://app.example.com'],
          [101, 'Origin: capacitor://localhost'],
          [101, 'Origin: file://'],
          [403, 'Origin: ionic://localhost'],
          [403, 'Origin: file:///tmp/x.html'],
          [403, 'Origin: null'],
          [403, `Origin: http://127.0.0.1:${gateway.port + 1}`],
          [101, `Origin: https://${own}`, 'X-Forwarded-Proto: https'],
          [403, `Origin: http://${own}`, 'X-Forwarded-Proto: https'],
          [403, `Origin: https://${own}`, 'X-Forwarded-Proto: http'],
        ];
        for (const [status, ...headers] of matrix)
          assert.equal(await statusFor(...headers), status, headers.join(', '));
      },
    );
  });

  it('takes the public host from a trusted proxy and from nobody else', async () => {
    const forwarded = ['X-Forwarded-Host: app.example.com', 'X-Forwarded-Proto: https'];
    await withOrigins({}, async (statusFor) => {
      assert.equal(await statusFor('Origin: https://app.example.com', ...forwarded), 101);
      assert.equal(await statusFor('Origin: https://evil.example', ...forwarded), 403);
    });
    await withOrigins({ TRUSTED_PROXIES: '10.0.0.0/8' }, async (statusFor) => {
      assert.equal(await statusFor('Origin: https://app.example.com', ...forwarded), 403);
    });
  });

  it('allows null and everything only where the list says so', async () => {
    await withOrigins({ WS_ALLOWED_ORIGINS: 'null' }, async (statusFor) => {
      assert.equal(await statusFor('Origin: null'), 101);
      assert.equal(await statusFor('Origin: https://evil.example'), 403);
    });
    await withOrigins({ WS_ALLOWED_ORIGINS: '*' }, async (statusFor) => {
      assert.equal(await statusFor('Origin: null'), 101);
      assert.equal(await statusFor('Origin: https://anything.example:444'), 101);
    });
  });
});
