import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { graphql } from '../../internal/protocol/graphql.js';

const TOKEN = 'aaa.bbb.ccc';
const read = (text: string, limit = 1000) => graphql.read(Buffer.from(text), limit);

function greeting(message: object) {
  const first = read(JSON.stringify(message));
  return first.verdict === 'ready' ? first.greeting : assert.fail('not ready');
}

describe('connection_init', () => {
  it('has its token in one of three members of its payload', () => {
    const token = (payload: unknown) => greeting({ type: 'connection_init', payload }).token;
    assert.equal(token({ Authorization: `Bearer ${TOKEN}` }), TOKEN);
    assert.equal(token({ authorization: TOKEN }), TOKEN);
    assert.equal(token({ Authorization: 'Basic x', token: TOKEN }), TOKEN);
    for (const none of [undefined, null, [], 'x', { token: 7 }, { token: '' }, { other: TOKEN }])
      assert.equal(token(none), undefined, JSON.stringify(none));
    assert.equal(
      greeting(JSON.parse('{"type":"connection_init","payload":{"__proto__":{"token":"x"}}}') as object)
        .token,
      undefined,
    );
  });

  it('goes on without it, and with all else', () => {
    const message = { id: 'x', type: 'connection_init', payload: { token: TOKEN, a: [1, { b: null }] } };
    assert.deepEqual(JSON.parse(String(greeting(message).withoutToken())), {
      ...message,
      payload: { a: [1, { b: null }] },
    });
  });

  it('goes on with each digit, space and escape of the rest as it came', () => {
    const rest =
      ' "id" : 12345678901234567890, "f":1.0e+400,"\\u0061":"\\u00e9é\\/\\"}{" ,"__proto__":[{ }] ';
    const without = (payload: string) => {
      const first = read(`\n{"payload" :${payload}, "type":"connection_init","token": "kept" }\t`);
      const bytes = first.verdict === 'ready' ? first.greeting.withoutToken() : undefined;
      return /^\n\{"payload" :(.*), "type":"connection_init","token": "kept" \}\t$/.exec(String(bytes))?.[1];
    };
    const token = `"token":"${TOKEN}"`;
    assert.equal(without(`{${token},${rest}}`), `{${rest.trimStart()}}`);
    assert.equal(without(`{${rest},${token} }`), `{${rest.trimEnd()} }`);
    assert.equal(without(`{${rest},${token},"x":1}`), `{${rest.trimEnd()},"x":1}`);
    assert.equal(
      without(`{ "t\\u006fken" : "${TOKEN}" , "Authorization":[{"a":[]}] ,${rest}}`),
      `{ ${rest.trimStart()}}`,
    );
    assert.equal(without(`{${rest},"authorization":"x",${token}}`), `{${rest.trimEnd()}}`);
    assert.equal(without(`{ ${token} }`), '{  }');
  });

  it('goes on as it came where there is no token in it', () => {
    for (const payload of ['', ',"payload":null', ',"payload":{ "id": 12345678901234567890 }']) {
      const first = read(`{"type":"connection_init"${payload}}`);
      assert.equal(first.verdict, 'ready');
      assert.equal(first.verdict === 'ready' && first.greeting.withoutToken(), undefined, payload);
    }
  });

  it('is the whole first message, or there is none', () => {
    const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    for (const bad of [
      '',
      // Deeper than others may read.
      `{"type":"connection_init","payload":{"token":"${TOKEN}","x":${deep}}}`,
      // Another reader takes the first of them.
      '{"type":"connection_init","payload":{"token":"a.b.c"},"payload":{}}',
      '{"type":"connection_init","payload":{"token":"a.b.c","token":"d.e.f"}}',
      'x',
      '[]',
      'null',
      '{}',
      '{"type":"ping"}',
      '{"type":"connection_init"',
      '{"type":["connection_init"]}',
    ])
      assert.equal(read(bad, 30_000).verdict, 'malformed', bad.slice(0, 80));
    assert.equal(read(JSON.stringify({ type: 'connection_init' }), 5).verdict, 'malformed');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        graphql.read(Buffer.from(bytes), 100);
      }),
    );
  });
});
