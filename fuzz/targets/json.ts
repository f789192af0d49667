import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { type CallRefusal, judgeCalls } from '../../internal/protocol/json-rpc.js';
import { readRenewal } from '../../internal/protocol/renewal.js';
import { readStrictJson } from '../../internal/protocol/strict-json.js';
import { kindBy, type Target } from '../target.js';

const METHODS = new Map<string, (params: unknown) => boolean>([
  ['sum', (params) => Array.isArray(params)],
  ['say', () => true],
]);
const RENEW = 'ws-gateway.renew';

/** JSON that two readers cannot take for different values, calls of JSON-RPC in it, and requests to renew. */
export const json: Target = {
  name: 'json',
  maxBytes: 2_048,
  words: [
    '{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1}',
    '{"jsonrpc":"2.0","method":"say"}',
    '{"jsonrpc":"2.0","result":1,"id":1}',
    '"method":"sum",',
    '"Method":"say",',
    '"\\u006dethod":',
    '"params":[1]',
    '"id":12345678901234567890',
    '"id":"x"',
    `"type":"${RENEW}",`,
    '"type":"ws-gateway\\u002erenew"',
    '"token":"a.b.c"',
    '"__proto__":',
    '"":0,',
    '1e400',
    '[',
    '['.repeat(130),
    '{},'.repeat(101),
    '\\"',
    '\\\\',
    '\ufeff',
    '\u2028',
  ],

  run(input) {
    const reading = readStrictJson(input);
    const plain = isUtf8(input) ? parsed(input.toString('utf8')) : undefined;
    const isRead = 'value' in reading;
    if (isRead) assert.deepEqual(reading.value, plain?.value, 'another reader, another value');
    else if (plain !== undefined)
      assert.ok(reading.fault === 'nested too deeply' || hasTwice(input.toString('utf8')), reading.fault);
    if (isRead) assert.ok(!hasTwice(input.toString('utf8')), 'a name twice in an object');
    const refusal = judgeCalls(input, { methods: METHODS, unknown: 'refuse' });
    if (refusal === undefined) callsAreGood(isRead ? reading.value : assert.fail('what is no JSON passes'));
    return kindBy([
      isRead ? 'read' : reading.fault,
      ...(refusal === undefined ? ['passes'] : codesIn(refusal)),
      renewalOf(input, plain?.value),
    ]);
  },
};

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Whether an object of a text that is JSON has a name twice, read by its grammar. */
function hasTwice(text: string): boolean {
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[[\]{},:]|[^\s"[\]{},:]+/gs) ?? [];
  const open: (Set<unknown> | undefined)[] = [];
  return tokens.some((token, at) => {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    const names = open.at(-1);
    if (names === undefined || tokens[at + 1] !== ':') return false;
    const name: unknown = JSON.parse(token);
    return names.size === names.add(name).size;
  });
}

/** Whoever takes names for one another whatever their case sees calls of known methods only, too. */
function callsAreGood(value: unknown): void {
  const calls = Array.isArray(value) ? value : [value];
  assert.ok(calls.length > 0 && calls.length <= 100);
  for (const call of calls) {
    const named = Object.entries(call as object).filter(([name]) => name.toLowerCase() === 'method');
    assert.ok(named.length <= 1, 'two methods');
    for (const [, method] of named) assert.ok(METHODS.has(String(method)), 'another method');
  }
}

/** The answers are those of JSON-RPC 2.0 §5, a hundred at most. */
function codesIn({ answer }: CallRefusal): readonly string[] {
  if (answer === undefined) return ['no answer'];
  const value: unknown = JSON.parse(answer);
  const answers = Array.isArray(value) ? value : [value];
  assert.ok(answers.length > 0 && answers.length <= 100);
  return answers.map(({ jsonrpc, error, id }) => {
    assert.equal(jsonrpc, '2.0');
    assert.ok(id === null || typeof id === 'string' || typeof id === 'number');
    return String(error.code);
  });
}

/** What any reader takes for a request to renew is one. */
function renewalOf(input: Buffer, value: unknown): string {
  const renewal = readRenewal(input);
  const type =
    typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, 'type') : undefined;
  if (type?.value === RENEW && !Array.isArray(value) && 'value' in readStrictJson(input))
    assert.ok(renewal !== undefined, 'a token passes');
  return renewal === undefined ? 'no renewal' : `renewal ${renewal.token === ''}`;
}
