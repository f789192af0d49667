import assert from 'node:assert/strict';
import { openingRequest } from '../../internal/upstream/websocket/opening-request.js';
import { type Answer, readAnswer } from '../../internal/upstream/websocket/response-head.js';
import { beginnings } from '../cuts.js';
import type { Target } from '../target.js';

const REQUEST = openingRequest('h', '/', ['a', 'b'], [], 'dGhlIHNhbXBsZSBub25jZQ==');
const MAX_HEAD_BYTES = 16_384;

/** An upstream's answer to an opening handshake. */
export const responseHead: Target = {
  name: 'response-head',
  maxBytes: MAX_HEAD_BYTES + 1_000,
  words: [
    'HTTP/1.1 101 Switching Protocols\r\n',
    'HTTP/1.1 103 Early Hints\r\n\r\n',
    'HTTP/1.1 200 OK\r\n',
    'Upgrade: websocket\r\n',
    'Connection: keep-alive\r\n',
    'Connection: Upgrade\r\n',
    `Sec-WebSocket-Accept: ${REQUEST.accept}\r\n`,
    'Sec-WebSocket-Protocol: b\r\n',
    'Sec-WebSocket-Extensions: permessage-deflate\r\n',
    '\r\n\r\n',
    '\r\n x: folded',
    'x'.repeat(4_000),
  ],

  run(input, random) {
    const last = readAnswer(input, REQUEST);
    for (const beginning of beginnings(input, random)) {
      const early = readAnswer(beginning, REQUEST);
      if (early.kind !== 'incomplete') assert.deepEqual(gist(early), gist(last), 'a cut changes the verdict');
    }
    if (last.kind === 'incomplete') {
      assert.ok(input.length <= MAX_HEAD_BYTES, 'it waits for more than the limit');
      return 'incomplete';
    }
    if (last.kind === 'refused') return last.why.replace(/(sent )\S+|\d+/, '$1');
    assert.ok(last.headBytes <= MAX_HEAD_BYTES);
    assert.equal(input.toString('latin1', last.headBytes - 4, last.headBytes), '\r\n\r\n');
    const head = input.toString('latin1', 0, last.headBytes).toLowerCase();
    assert.ok(head.includes(REQUEST.accept.toLowerCase()), 'open without the right Sec-WebSocket-Accept');
    assert.ok([undefined, 'a', 'b'].includes(last.subprotocol));
    return `open ${last.subprotocol}`;
  },
};

/** Which of two faults is said may follow from how much has come. */
function gist(answer: Answer): unknown {
  return answer.kind === 'refused' ? { kind: answer.kind, status: answer.status } : answer;
}
