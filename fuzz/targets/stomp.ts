import assert from 'node:assert/strict';
import type { FirstBytes } from '../../internal/protocol/protocol.js';
import { stomp as adapter } from '../../internal/protocol/stomp.js';
import { beginnings } from '../cuts.js';
import type { Target } from '../target.js';

const LIMIT_BYTES = 4_096;

/** The first frame of a STOMP client, and what of it goes upstream. */
export const stomp: Target = {
  name: 'stomp',
  maxBytes: LIMIT_BYTES - 1,
  words: [
    'CONNECT\n',
    'STOMP\r\n',
    'accept-version:1.2\n',
    'Authorization:Bearer a.b.c\n',
    'passcode:a.b.c\n',
    'passcode: guest\r\n',
    'access_token:x\n',
    'login:alice\n',
    '\n\n\0',
    '\r\n',
    '\u0085',
    '\u2028',
    '\ufeff',
  ],

  run(input, random) {
    const last = adapter.read(input, LIMIT_BYTES);
    for (const beginning of beginnings(input, random)) {
      const early = adapter.read(beginning, LIMIT_BYTES);
      if (early.verdict !== 'more') assert.deepEqual(gist(early), gist(last), 'a cut changes the verdict');
    }
    if (last.verdict !== 'ready') return last.verdict === 'more' ? 'more' : last.why;
    const { greeting } = last;
    assert.equal(input[greeting.length - 1], 0, 'a frame ends with NUL');
    const stripped = greeting.withoutToken();
    assert.ok(stripped !== undefined);
    const again = adapter.read(stripped, LIMIT_BYTES + 2);
    assert.ok(again.verdict === 'ready', 'without its token it is well-formed');
    assert.equal(again.greeting.length, stripped.length, 'it is one frame');
    if (greeting.token !== undefined) assert.notEqual(again.greeting.token, greeting.token);
    const came = linesOf(input.subarray(0, greeting.length));
    let at = 0;
    for (const line of linesOf(stripped)) {
      at = came.indexOf(line, at) + 1;
      assert.ok(at > 0, 'what passes is what came');
    }
    return `ready ${typeof greeting.token} ${typeof again.greeting.token}`;
  },
};

function gist(result: FirstBytes): unknown {
  return result.verdict === 'ready' ? [result.greeting.token, result.greeting.length] : result;
}

/** Without what stands before the frame. */
function linesOf(frame: Buffer): readonly string[] {
  return frame
    .toString('utf8')
    .replace(/^[\r\n]+/, '')
    .slice(0, -1)
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
}
