import assert from 'node:assert/strict';
import { graphql } from '../../internal/protocol/graphql.js';
import type { FirstBytes } from '../../internal/protocol/protocol.js';
import { raw } from '../../internal/protocol/raw.js';
import type { Target } from '../target.js';

const LIMIT_BYTES = 8_192;

/** First messages that hold a token: of raw clients, and connection_init. */
export const firstMessage: Target = {
  name: 'first-message',
  maxBytes: LIMIT_BYTES + 1,
  words: [
    'a.b.c',
    'Bearer ',
    '{"token":"a.b.c"}',
    '{"type":"connection_init","payload":{"token":"a.b.c"}}',
    '"payload":{',
    '"params":{',
    '"access_token":"a.b.c",',
    '"Authorization":"Bearer a.b.c",',
    '"authorization":"a.b.c"',
    '"token":"x",',
    '"\\u0074oken":',
    '"__proto__":{',
    '"id":12345678901234567890,',
    '['.repeat(4_000),
    '\ufeff',
    '\u00a0',
  ],

  run(input) {
    return `${ofRaw(raw.read(input, LIMIT_BYTES), input)} ${ofGraphql(graphql.read(input, LIMIT_BYTES), input)}`;
  },
};

/** It is consumed whole; the token stands in it. */
function ofRaw(first: FirstBytes, input: Buffer): string {
  if (first.verdict !== 'ready') return first.verdict;
  const { token, length, consumed } = first.greeting;
  assert.ok(token !== undefined && token !== '' && consumed);
  assert.equal(length, input.length);
  const text = input.toString('utf8');
  assert.ok(text.includes(token) || text.includes('\\'), 'the token is another');
  return 'ready';
}

/** What goes on is the same message, without any token. */
function ofGraphql(first: FirstBytes, input: Buffer): string {
  if (first.verdict !== 'ready') return first.verdict;
  const { token, length, withoutToken } = first.greeting;
  assert.equal(length, input.length);
  const stripped = withoutToken();
  if (stripped === undefined) assert.equal(token, undefined, 'the token goes on');
  const forwarded = stripped ?? input;
  const again = graphql.read(forwarded, Number.POSITIVE_INFINITY);
  assert.ok(again.verdict === 'ready', 'what goes on is no connection_init');
  assert.equal(again.greeting.token, undefined);
  assert.equal(again.greeting.withoutToken(), undefined);
  const [came, goes] = [input, forwarded].map((bytes) => messageIn(bytes));
  assert.deepEqual(goes, came, 'more than the token is missing');
  return `ready ${typeof token} ${typeof stripped}`;
}

function messageIn(bytes: Buffer): unknown {
  const message = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  const { payload } = message;
  if (typeof payload === 'object' && payload !== null && !Array.isArray(payload))
    for (const name of ['Authorization', 'authorization', 'token'])
      delete (payload as Record<string, unknown>)[name];
  return message;
}
