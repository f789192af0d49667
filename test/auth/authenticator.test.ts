import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { ALL, type Bench, bench, compact, refused, refusedWith, seconds } from './parts.js';

describe('verification', () => {
  test('every algorithm verifies with a key it fits', async (t) => {
    const b = await bench(t, { issuer: { algorithms: ALL } });
    for (const [index, alg] of ALL.entries()) {
      const kid = b.issuer.published[index]?.kid ?? '';
      const token = b.issuer.sign({ sub: alg, preferred_username: 'A', roles: ['r'] }, { kid, alg });
      const { sub, preferredUsername, roles } = await b.authenticator.authenticate(token);
      assert.deepEqual([sub, preferredUsername, roles], [alg, 'A', ['r']]);
      const [input] = token.split(/\.(?=[^.]*$)/);
      const otherSignature = b.issuer.sign({}, { kid, alg }).split('.')[2];
      await refused(b, `${input}.${otherSignature}`, /signature/);
    }
  });

  test('an algorithm on a key it does not fit is refused, every pair of them', async (t) => {
    const algorithms = ['RS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
    const b = await bench(t, { issuer: { algorithms }, config: { algorithms: ALL } });
    for (const { kid = '', alg: own } of b.issuer.published)
      for (const alg of ALL) {
        if (alg === own) continue;
        const token = b.issuer.sign({}, { kid, header: { alg } });
        await refused(b, token, /does not fit/);
      }
  });

  test('a logout token lets nobody in, though its provider signed it for the same audience', async (t) => {
    const b = await bench(t);
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    for (const typ of ['logout+jwt', 'application/Logout+JWT'])
      await refused(b, b.issuer.sign({ sid: 's' }, { header: { typ } }), /logout token/);
    await refused(b, b.issuer.sign({ sid: 's', events }), /logout token/);
    await b.authenticator.authenticate(b.issuer.sign({ events: { 'https://example.com/other': {} } }));
  });

  test('what is not in JWT_VALID_ALGORITHMS is refused, though the key fits and the signature is right', async (t) => {
    const b = await bench(t, { prepare: ({ published }) => delete published[0]?.alg });
    for (const alg of ['PS256', 'RS384', 'RS512'] as const)
      await refused(b, b.issuer.sign({}, { alg }), /not in JWT_VALID/);
    await b.authenticator.authenticate(b.issuer.sign());
  });

  test('unsigned tokens are refused in every spelling of none', async (t) => {
    const b = await bench(t);
    const kid = b.issuer.published[0]?.kid;
    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      ' ',
      null,
      undefined,
      0,
      ['RS256'],
      { RS256: 1 },
      'rs256',
      'RS256\0',
    ])
      for (const signature of ['', 'c2ln'])
        await refused(b, compact({ alg, kid }, { sub: 'admin', exp: seconds() + 60 }, signature), /alg/);
    await refused(b, 'e30.e30.');
  });

  test('a signature that is gone, cut, altered or of another token is refused', async (t) => {
    const b = await bench(t);
    const token = b.issuer.sign();
    const [header, payload, signature = ''] = token.split('.');
    const forged = b.issuer.sign({ sub: 'admin' }).split('.')[1];
    for (const other of [
      '',
      signature.slice(0, -4),
      `${signature}AAAA`,
      `A${signature.slice(1)}x`,
      signature.toUpperCase(),
    ])
      await refused(b, `${header}.${payload}.${other}`);
    await refused(b, `${header}.${forged}.${signature}`, /signature/);
  });

  test('an HMAC keyed with anything that is public about the key is refused', async (t) => {
    const b = await bench(t, { config: { algorithms: ALL } });
    const publicKey = b.issuer.publicKey();
    const jwk = b.issuer.published[0];
    const secrets = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'pkcs1', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      publicKey.export({ type: 'pkcs1', format: 'der' }),
      JSON.stringify(jwk),
      Buffer.from(jwk?.n ?? '', 'base64url'),
      '',
    ];
    for (const secret of secrets)
      for (const alg of ['HS256', 'HS384', 'HS512', 'RS256']) {
        const input = compact({ alg, kid: jwk?.kid }, { sub: 'admin', exp: seconds() + 60 }).slice(0, -1);
        const hash = `sha${alg.slice(2)}`;
        await refused(b, `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`);
      }
  });

  test('keys that the header brings along are not looked at', async (t) => {
    const b = await bench(t);
    const stranger = await bench(t);
    const jwk = { ...stranger.issuer.published[0] };
    const [own] = b.issuer.published;
    for (const kid of [own?.kid, jwk.kid]) {
      const header = {
        kid,
        jwk: { ...jwk, kid },
        jku: `${stranger.issuer.url}/canary`,
        x5u: `${b.issuer.url}/canary`,
        x5c: ['MIIB'],
      };
      await refused(b, stranger.issuer.sign({}, { header }));
    }
    assert.deepEqual([b.issuer.strayHits, stranger.issuer.strayHits, stranger.issuer.hits], [0, 0, 1]);
    const harmless = b.issuer.sign({}, { header: { jku: `${b.issuer.url}/canary`, jwk } });
    assert.equal((await b.authenticator.authenticate(harmless)).sub, 'alice');
    assert.equal(b.issuer.strayHits, 0);
  });

  test('extensions that are not understood are refused, however they are listed', async (t) => {
    const b = await bench(t);
    for (const crit of [['x'], [], 'x', {}, null, [1], ['exp'], ['b64'], ['__proto__']])
      await refused(b, b.issuer.sign({}, { header: { crit, x: 1, b64: true } }), /crit/);
    for (const b64 of [false, 'false', 0, null])
      await refused(b, b.issuer.sign({}, { header: { b64 } }), /b64/);
    await b.authenticator.authenticate(
      b.issuer.sign({}, { header: { b64: true, typ: 'anything', cty: 'x' } }),
    );
  });

  test('an odd kid is refused and does no harm', async (t) => {
    const b = await bench(t);
    for (const kid of [
      '',
      '__proto__',
      'constructor',
      '../../etc/passwd',
      "' OR 1=1 --",
      'a\r\nb',
      '\u0000',
      'k'.repeat(40_000),
    ])
      await refused(b, b.issuer.sign({}, { header: { kid } }), /^no key has the kid ".{0,300}"$/);
    for (const kid of [null, 1, true, ['x'], { kid: 'x' }, b.issuer.published.map((jwk) => jwk.kid)])
      await refused(b, b.issuer.sign({}, { header: { kid } }), /kid is not a string/);
    assert.equal(b.issuer.hits, 2);
  });

  test('of several keys with one kid whichever signed counts, and a forgery is none of theirs', async (t) => {
    const kids: string[] = [];
    const b = await bench(t, {
      issuer: { algorithms: ['RS256', 'RS256', 'ES256'] },
      prepare: ({ published }) => {
        for (const jwk of published) {
          kids.push(jwk.kid ?? '');
          jwk.kid = 'shared';
        }
      },
    });
    for (const [i, kid] of kids.entries()) {
      const token = b.issuer.sign({ sub: `user ${i}` }, { kid, header: { kid: 'shared' } });
      assert.equal((await b.authenticator.authenticate(token)).sub, `user ${i}`);
    }
    const other = await bench(t);
    const stranger = other.issuer.sign({ sub: 'alice' }, { header: { kid: 'shared' } });
    await assert.rejects(async () => b.authenticator.authenticate(stranger), refusedWith('ERR_JWT_INVALID'));
    const expired = b.issuer.sign(
      {},
      { kid: kids[0] ?? '', header: { kid: 'shared' }, expiresInSeconds: -60 },
    );
    await assert.rejects(async () => b.authenticator.authenticate(expired), /exp/);
  });

  test('a token without kid is served by a set of one usable key only', async (t) => {
    const b = await bench(t);
    await b.authenticator.authenticate(b.issuer.sign({}, { header: { kid: undefined } }));
    const two = await bench(t, { issuer: { algorithms: ['RS256', 'RS256'] } });
    await refused(two, two.issuer.sign({}, { header: { kid: undefined } }), /no kid/);
  });

  test('what is not three parts of JSON objects is malformed', async (t) => {
    const b = await bench(t);
    const part = (text: string) => Buffer.from(text).toString('base64url');
    const object = part('{}');
    const texts = [
      '',
      '.',
      '..',
      'x',
      'Bearer a.b.c',
      `${object}.${object}`,
      `${object}.${object}.a.b`,
      `${object}.a.b.c.d`,
      `${object}..sig`,
      'a.b.c',
      `${object}.${part('{')}.sig`,
      `${object}.${part('[]')}.sig`,
      `${object}.${part('null')}.sig`,
      `${object}.${part('"x"')}.sig`,
      `${part('[]')}.${object}.sig`,
      `${part('{} {}')}.${object}.sig`,
      `${object}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.sig`,
      b.issuer.sign().replaceAll('.', '. '),
      `${b.issuer.sign()}=`,
      `${b.issuer.sign()}\n`,
      b.issuer.sign({ fill: 'x'.repeat(100_000) }),
      '.'.repeat(100_000),
    ];
    for (const text of texts)
      await assert.rejects(
        async () => b.authenticator.authenticate(text),
        refusedWith('ERR_JWT_MALFORMED', text),
        text.slice(0, 80),
      );
  });

  test('without any keys the answer is that authentication is unavailable, not that the token is bad', async (t) => {
    const b = await bench(t, { config: { keySource: { kind: 'none' } } });
    await assert.rejects(
      async () => b.authenticator.authenticate(b.issuer.sign()),
      refusedWith('ERR_KEYS_UNAVAILABLE'),
    );
  });
});

describe('claims', () => {
  async function verdicts(b: Bench, good: object[], bad: object[]): Promise<void> {
    for (const claims of good)
      await assert.doesNotReject(
        async () => b.authenticator.authenticate(b.issuer.sign({ ...claims })),
        JSON.stringify(claims),
      );
    for (const claims of bad) await refused(b, b.issuer.sign({ ...claims }));
  }

  test('exp has to be there, a number a clock can reach, and not over', async (t) => {
    const b = await bench(t);
    const now = seconds();
    await verdicts(
      b,
      [{ exp: now + 60 }, { exp: now + 60.5 }, { exp: now - 1 }, { exp: 4e12 }],
      [undefined, null, now - 60, 0, -1, `${now + 60}`, 1e308, true, [now + 60], {}].map((exp) => ({ exp })),
    );
    await refused(b, b.issuer.signRaw('{"sub":"alice","exp":1e999}'));
  });

  test('nbf and exp have the leeway of the clock skew, iat is not checked', async (t) => {
    const at = 1_900_000_000;
    let nowMs = at * 1000;
    const b = await bench(t, { now: () => nowMs });
    const token = b.issuer.sign({ iat: at + 9999, nbf: at + 5, exp: at + 10 });
    await b.authenticator.authenticate(token);
    nowMs = (at + 14) * 1000;
    await b.authenticator.authenticate(token);
    nowMs = (at + 15) * 1000;
    await refused(b, token, /exp/);
    nowMs = at * 1000;
    await verdicts(
      b,
      [{ exp: at + 60, nbf: at - 60 }],
      [
        { exp: at + 60, nbf: at + 6 },
        { exp: at + 60, nbf: '0' },
      ],
    );
  });

  test('iss is compared to the letter', async (t) => {
    const issuer = 'https://id.example.com/realms/one';
    const b = await bench(t, { config: { issuer } });
    const others = [
      `${issuer}/`,
      issuer.toUpperCase(),
      `${issuer}x`,
      'https://id.example.com',
      '',
      null,
      [issuer],
      undefined,
    ];
    await verdicts(
      b,
      [{ iss: issuer }],
      others.map((iss) => ({ iss })),
    );
  });

  test('one of the audiences has to be in aud', async (t) => {
    const b = await bench(t, { config: { audiences: ['one', 'two'] } });
    await verdicts(
      b,
      ['one', 'two', ['two'], ['x', 'one'], ['one', 1]].map((aud) => ({ aud })),
      ['', 'on', 'ONE', 'one,two', ' one', [], ['x'], [['one']], { one: 1 }, null, 1, undefined].map(
        (aud) => ({ aud }),
      ),
    );
  });

  test('sub has to be a non-empty string', async (t) => {
    const b = await bench(t);
    await verdicts(
      b,
      [{ sub: 'x' }],
      ['', null, 1, ['a'], {}, undefined].map((sub) => ({ sub })),
    );
  });

  test('hostile claims change nothing', async (t) => {
    const b = await bench(t);
    const raw = `{"sub":"alice","sub":"bob","exp":${seconds() + 60},"__proto__":{"roles":["admin"]},"constructor":1,"roles":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    const identity = await b.authenticator.authenticate(b.issuer.signRaw(raw));
    assert.deepEqual([identity.sub, identity.roles], ['bob', []]);
  });
});
