import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HandshakeKeys, openingRequest } from '../../../internal/upstream/websocket/opening-request.js';
import { type Answer, readAnswer } from '../../../internal/upstream/websocket/response-head.js';

const seed = Number(process.env.FUZZ_SEED ?? 20_261_128);
console.log(`# seed ${seed}`);

const REQUEST = openingRequest('h', '/', ['a', 'b'], [], new HandshakeKeys().next());

const RIGHT = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${REQUEST.accept}`];

const headOf = (lines: readonly string[], status = 'HTTP/1.1 101 Switching Protocols'): string =>
  `${[status, ...lines].join('\r\n')}\r\n\r\n`;

function read(text: string): Answer {
  return readAnswer(Buffer.from(text, 'latin1'), REQUEST);
}

function refusal(text: string): string {
  const answer = read(text);
  assert.equal(answer.kind, 'refused', text);
  return answer.kind === 'refused' ? `${answer.status ?? 'none'}: ${answer.why}` : '';
}

describe('the answer to an opening handshake', () => {
  it('opens the connection when it is right, however it is written', () => {
    const accept = REQUEST.accept;
    const heads = [
      headOf(RIGHT),
      headOf([...RIGHT].reverse()),
      headOf(['upgrade:WebSocket', 'CONNECTION:\tkeep-alive, UPGRADE ', `sec-websocket-ACCEPT:${accept}  `]),
      headOf(['Server: x', 'Server: y', 'X-Empty:', 'Date: Mon: 1 \xe4 \t', ...RIGHT]),
      // RFC 9110 §5.3: two lines of a list are one.
      headOf(['Connection: keep-alive', ...RIGHT]),
      headOf([...RIGHT, 'connection: x']),
      headOf(RIGHT, 'HTTP/1.1 101'),
      headOf(RIGHT, 'HTTP/1.1 101 '),
    ];
    for (const head of heads) {
      assert.deepEqual(read(head), { kind: 'open', subprotocol: undefined, headBytes: head.length });
      assert.deepEqual(read(`${head}\x81\x00`), {
        kind: 'open',
        subprotocol: undefined,
        headBytes: head.length,
      });
    }
    const chosen = read(headOf([...RIGHT, 'Sec-WebSocket-Protocol: b']));
    assert.equal(chosen.kind === 'open' && chosen.subprotocol, 'b');
  });

  it('is waited for until its head is whole, through interim responses', () => {
    const head = `${headOf(['Link: x'], 'HTTP/1.1 103 Early Hints')}${headOf(RIGHT)}`;
    for (let end = 0; end < head.length; end++)
      assert.equal(read(head.slice(0, end)).kind, 'incomplete', `${end}`);
    assert.deepEqual(read(head), { kind: 'open', subprotocol: undefined, headBytes: head.length });
  });

  it('refuses by its status, or for being none', () => {
    assert.equal(refusal(headOf([], 'HTTP/1.1 404 Not Found')), '404: it answered with status 404');
    assert.equal(refusal('HTTP/1.1 503\r\n\r\nbody'), '503: it answered with status 503');
    for (const status of [
      'HTTP/1.0 101 x',
      'HTTP/1.1  101',
      'HTTP/1.1 1010',
      'HTTP/1.1 101 \x01',
      'http/1.1 101',
    ])
      assert.equal(refusal(headOf(RIGHT, status)), 'none: its answer is not HTTP/1.1', status);
    assert.equal(refusal('SSH-2.0'), 'none: its answer is not HTTP/1.1');
    assert.equal(refusal(`HTTP/1.1 ${'x'.repeat(17_000)}`), 'none: its response head is longer than 16 KiB');
  });

  it('is wrong when a line of its head is', () => {
    const lines = [
      'X : 1',
      ' X: 1',
      'X',
      ': 1',
      '',
      'X: a\rb',
      'X: a\nb',
      'X: \0',
      'X: \x7f',
      'X\xe4: 1',
      'X(: 1',
    ];
    for (const line of lines)
      for (const head of [
        [line, ...RIGHT],
        [...RIGHT, line],
        [...RIGHT.slice(0, 1), line, ...RIGHT.slice(1)],
      ]) {
        // An empty line ends the head, as it should.
        if (line === '') continue;
        assert.equal(refusal(headOf(head)), '101: its response head has a malformed line', line);
      }
  });

  it('is wrong without what RFC 6455 wants, with it twice, or with more than was asked for', () => {
    const without = (index: number): string => refusal(headOf(RIGHT.filter((_, at) => at !== index)));
    assert.equal(without(0), '101: its 101 does not upgrade to websocket');
    assert.equal(without(1), '101: its 101 has no Connection: Upgrade');
    assert.equal(without(2), '101: its Sec-WebSocket-Accept is wrong');
    for (const line of ['UPGRADE: websocket', 'Sec-WebSocket-Accept: x'])
      assert.equal(refusal(headOf([...RIGHT, line])), `101: it sent ${line.split(':')[0]} twice`);
    const protocols = ['Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: b'];
    assert.equal(refusal(headOf([...RIGHT, ...protocols])), '101: it sent Sec-WebSocket-Protocol twice');
    for (const value of ['c', 'A', '', 'a, b'])
      assert.equal(
        refusal(headOf([...RIGHT, `Sec-WebSocket-Protocol: ${value}`])),
        '101: it chose a sub-protocol that was not offered',
      );
    for (const more of [
      ['Sec-WebSocket-Extensions: x'],
      ['Sec-WebSocket-Extensions:', 'Sec-WebSocket-Extensions:'],
    ])
      assert.equal(refusal(headOf([...RIGHT, ...more])), '101: it chose an extension that was not offered');
  });

  it('is read as its grammar says, whatever it is', () => {
    // RFC 9112 §5, line by line.
    const field = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;
    const unit = fc.constantFrom(...'aZ9-:; \t\r\n\0\x7f\x80\xff"(');
    fc.assert(
      fc.property(fc.array(fc.string({ unit, maxLength: 8 }), { maxLength: 4 }), (lines) => {
        const head = headOf([...RIGHT, ...lines]);
        const end = head.indexOf('\r\n\r\n');
        const isWellFormed = head
          .slice(0, end)
          .split('\r\n')
          .slice(1)
          .every((line) => field.test(line));
        assert.equal(read(head).kind, isWellFormed ? 'open' : 'refused');
      }),
      { seed, numRuns: 5000 },
    );
  });
});
