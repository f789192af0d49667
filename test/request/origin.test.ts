import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AllowedOrigins } from '../../internal/request/origin.js';

const HOST = 'gw.example.com';

function allows(entries: readonly string[] | undefined, origin: string, host = HOST): boolean {
  return new AllowedOrigins(entries).allows([origin], host);
}

function check(
  entries: readonly string[] | undefined,
  table: Readonly<Record<string, boolean>>,
  host = HOST,
): void {
  for (const [origin, expected] of Object.entries(table)) {
    assert.equal(
      allows(entries, origin, host),
      expected,
      `${origin} against ${entries?.join(', ') ?? 'nothing'}`,
    );
  }
}

describe('an allowed origin', () => {
  it('with *. before the host fits every sub-domain, nothing else', () => {
    check(['https://*.example.com'], {
      'https://app.example.com': true,
      'https://a.b.example.com': true,
      'https://APP.EXAMPLE.COM': true,
      'HTTPS://app.example.com': true,
      'https://app.example.com:443': true,
      'https://xn--bcher-kva.example.com': true,
      'https://example.com': false,
      'https://evil-example.com': false,
      'https://evilexample.com': false,
      'https://example.com.evil.com': false,
      'https://app.example.com.evil.com': false,
      'https://x.example.com@evil.com': false,
      'https://evil.com@x.example.com': false,
      'https://evil.com/.example.com': false,
      'https://evil.com?.example.com': false,
      'https://evil.com#.example.com': false,
      'https://evil.com\\.example.com': false,
      'https://evil.com%2f.example.com': false,
      'https://app.example.com/': false,
      'https://app.example.com/path': false,
      'http://app.example.com': false,
      'wss://app.example.com': false,
      'https://app.example.com:8443': false,
      'https://app.example.com:80': false,
      'https://app.example.com.': false,
      'https://app.example.com ': false,
      'https://app.example.com, https://evil.com': false,
      'https://app.example.com https://evil.com': false,
      'https:app.example.com': false,
      '//app.example.com': false,
      'app.example.com': false,
      'javascript://app.example.com': false,
      null: false,
      '': false,
    });
  });

  it('is compared by scheme, host and port', () => {
    check(['https://app.example.com', 'https://odd.example.com:8443', 'http://plain.example.com'], {
      'https://app.example.com': true,
      'https://app.example.com:443': true,
      'https://app.example.com:8443': false,
      'http://app.example.com': false,
      'https://x.app.example.com': false,
      'https://odd.example.com:8443': true,
      'https://odd.example.com': false,
      'http://plain.example.com': true,
      'http://plain.example.com:80': true,
      'https://plain.example.com': false,
      'https://app.example.comm': false,
    });
  });

  it('without a scheme means https', () => {
    check(['app.example.com', '*.corp.example', 'port.example:8443'], {
      'https://app.example.com': true,
      'http://app.example.com': false,
      'https://x.corp.example': true,
      'http://x.corp.example': false,
      'https://corp.example': false,
      'https://port.example:8443': true,
      'https://port.example': false,
    });
  });

  it('with :* takes any port of that scheme and host', () => {
    check(['http://localhost:*', 'http://[::1]:*'], {
      'http://localhost': true,
      'http://localhost:3000': true,
      'http://localhost:65535': true,
      'https://localhost:3000': false,
      'http://localhost.evil.com:3000': false,
      'http://localhost:3000@evil.com': false,
      'http://[::1]:5173': true,
      'http://127.0.0.1:3000': false,
    });
  });

  it('null is allowed by name, and by *', () => {
    check(['null'], { null: true, 'https://a.example': false, Null: false });
    check(['*'], {
      null: true,
      'https://a.example': true,
      'http://b.example:1': true,
      'not an origin': false,
    });
    check(['https://a.example'], { null: false });
  });

  it('of several, one is enough; of several Origin lines none is believed', () => {
    const origins = new AllowedOrigins(['https://a.example', 'https://b.example']);
    assert.ok(origins.allows(['https://b.example'], HOST));
    assert.ok(!origins.allows(['https://a.example', 'https://b.example'], HOST));
    assert.ok(!new AllowedOrigins(['*']).allows(['https://a.example', 'https://a.example'], HOST));
  });

  it('an empty list allows no page but those of the own host', () => {
    check([], { 'https://gw.example.com': true, 'https://other.example.com': false, null: false });
  });

  it('may be that of an app or of an extension, by scheme and host', () => {
    check(['capacitor://localhost', 'chrome-extension://abcdefghijklmnop', 'ionic://localhost:*'], {
      'capacitor://localhost': true,
      'Capacitor://LOCALHOST': true,
      'capacitor://localhost:1': false,
      'capacitor://localhost.evil.com': false,
      'capacitor://evil@localhost': false,
      'capacitor://localhost/': false,
      'capacitor://': false,
      'http://localhost': false,
      'chrome-extension://abcdefghijklmnop': true,
      'chrome-extension://abcdefghijklmnoq': false,
      'moz-extension://abcdefghijklmnop': false,
      'ionic://localhost:8100': true,
      'file://': false,
      null: false,
    });
  });

  it('of local files is file:// as some clients say it, by name and by *', () => {
    check(['file://'], {
      'file://': true,
      'FILE://': true,
      'file:///': false,
      'file:///etc/passwd': false,
      'file://host': false,
      'file:': false,
      null: false,
      'https://a.example': false,
    });
    check(['*'], { 'file://': true, 'capacitor://localhost': true });
    check(['https://a.example'], { 'file://': false });
  });

  it('stands beside the own host and port, which always may', () => {
    check(['https://app.example.com'], {
      'https://app.example.com': true,
      'https://gw.example.com': true,
      'http://gw.example.com': true,
      'https://gw.example.com:8443': false,
      'https://gw.example.com.evil.com': false,
      null: false,
    });
  });
});

describe('without a list', () => {
  it('only pages of the same host and port are let in', () => {
    check(undefined, {
      'https://gw.example.com': true,
      'http://gw.example.com': true,
      'https://GW.example.com': true,
      'https://gw.example.com:8443': false,
      'https://evil.example': false,
      'https://gw.example.com.evil.example': false,
      'https://x.gw.example.com': false,
      null: false,
    });
    check(
      undefined,
      { 'http://gw.example.com:8080': true, 'http://gw.example.com': false },
      'gw.example.com:8080',
    );
    check(undefined, { 'http://[::1]:8080': true, 'http://localhost:8080': false }, '[::1]:8080');
    check(
      undefined,
      { 'https://gw.example.com': true, 'http://gw.example.com': false },
      'gw.example.com:443',
    );
  });

  it('the scheme is compared where it is known, and completes the port of the host', () => {
    const over = (scheme: 'http' | 'https' | undefined, origin: string, host: string) =>
      new AllowedOrigins().allows([origin], host, scheme);
    assert.ok(over('https', 'https://gw.example.com', HOST));
    assert.ok(over('https', 'https://gw.example.com', `${HOST}:443`));
    assert.ok(over('https', 'https://gw.example.com:443', HOST));
    assert.ok(!over('https', 'http://gw.example.com', HOST));
    assert.ok(!over('https', 'http://gw.example.com:443', HOST));
    assert.ok(over('http', 'http://gw.example.com:80', HOST));
    assert.ok(!over('http', 'https://gw.example.com', HOST));
    assert.ok(!over('http', 'https://gw.example.com', `${HOST}:443`));
    // paho writes https:// into every Origin, with the port of the broker.
    assert.ok(over(undefined, 'https://gw.example.com:8080', `${HOST}:8080`));
    assert.ok(over(undefined, 'http://gw.example.com:8080', `${HOST}:8080`));
  });

  it('no app has the own host for its own', () => {
    check(
      undefined,
      { 'capacitor://localhost': false, 'file://': false, 'ws://localhost': false },
      'localhost',
    );
  });

  it('a host header of no use lets nobody in', () => {
    for (const host of ['', 'evil.example@gw.example.com', 'gw.example.com/', 'a b', '\\', 'gw.example.com#'])
      assert.ok(!allows(undefined, 'https://gw.example.com', host), host);
  });

  it('clients that are no browsers send no origin and are let in', () => {
    assert.ok(new AllowedOrigins(undefined).allows([], HOST));
    assert.ok(new AllowedOrigins(['https://a.example']).allows([], HOST));
  });
});

it('no origin that is not under the domain passes for one, however it is written', () => {
  const seed = Number(process.env.FC_SEED ?? 20_240_602);
  const origins = new AllowedOrigins(['https://*.example.com']);
  const piece = fc.constantFrom(
    'https://',
    'evil.com',
    '.example.com',
    '@',
    ':',
    '/',
    '\\',
    '%2e',
    '#',
    '?',
    'a',
    '.',
    '443',
    '[',
    ']',
    '\t',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const origin = pieces.join('');
      if (!origins.allows([origin], HOST)) return;
      const { protocol, hostname, port, username, pathname } = new URL(origin);
      assert.equal(protocol, 'https:');
      assert.ok(hostname.endsWith('.example.com'), origin);
      assert.equal(`${port}${username}`, '');
      assert.equal(pathname, '/');
    }),
    { seed, numRuns: 5000 },
  );
});
