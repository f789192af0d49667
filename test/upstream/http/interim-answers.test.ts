import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { InterimAnswers } from '../../../internal/upstream/http/interim-answers.js';

const FINAL = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('interim answers', () => {
  it('are left out, however the bytes are cut, and what is behind them is not', () => {
    const interim = fc.constantFrom(
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
      'HTTP/1.0 102 \r\n\r\n',
    );
    fc.assert(
      fc.property(
        fc.array(interim, { maxLength: 4 }),
        fc.array(fc.nat(120), { maxLength: 8 }),
        (before, cuts) => {
          assert.equal(passed(before.join('') + FINAL, cuts), FINAL);
        },
      ),
    );
  });

  it('are not looked for behind the head of the answer', () => {
    const filter = new InterimAnswers();
    filter.expect();
    const body = 'HTTP/1.1 100 Continue\r\n\r\n';
    assert.equal(String(filter.pass(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))), 'HTTP/1.1 200 OK\r\n\r\n');
    assert.equal(String(filter.pass(Buffer.from(body))), body);
  });

  it('that change the protocol, and what is no answer at all, are the parser’s to refuse', () => {
    for (const text of [
      'HTTP/1.1 101 Switching Protocols\r\n\r\n',
      'nonsense\r\n\r\n',
      '\r\n',
      'HTTP/2 100\r\n\r\n',
    ])
      assert.equal(passed(text, [1, 5, 9, 10, 11]), text);
  });

  it('whose head does not end are held up to a bound', () => {
    const filter = new InterimAnswers();
    filter.expect();
    assert.equal(filter.pass(Buffer.from('HTTP/1.1 100 Continue\r\nX: ')), null);
    assert.equal(filter.pass(Buffer.alloc(60_000, 'a')), null);
    assert.equal(filter.pass(Buffer.alloc(10_000, 'a'))?.length, 70_026);
  });
});

/** What is left of a text that comes in pieces. */
function passed(text: string, cuts: readonly number[]): string {
  const filter = new InterimAnswers();
  filter.expect();
  const bounds = [0, ...cuts.filter((cut) => cut < text.length), text.length].sort((a, b) => a - b);
  let left = '';
  for (const [index, end] of bounds.entries()) {
    const piece = text.slice(bounds[index - 1] ?? 0, end);
    if (piece !== '') left += filter.pass(Buffer.from(piece))?.toString() ?? '';
  }
  return left;
}
