import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { Bench } from '../lab.js';

describe('the time for a closing handshake', () => {
  let bench: Bench;
  before(async () => {
    bench = await Bench.start({ controlTimeoutMs: 50 });
  });
  after(() => bench.close());

  it('ends the wait for an upstream that does not answer', async () => {
    const { connection, recorder, far } = await bench.open();
    connection.close(1000, '');
    const last = await recorder.end();
    assert.ok(last.kind === 'lost');
    await far.until(() => far.ended, 'end');
    await bench.quiet();
  });

  it('ends a connection whose upstream closed and then holds on to it, reads nothing, or floods', async () => {
    const { recorder, far } = await bench.open();
    far.socket.pause();
    far.socket.write(encodeFrame(OPCODE.close, closePayload(1001)));
    assert.deepEqual(await recorder.end(), { kind: 'closed', code: 1001, reason: '' });
    const flood = await bench.open();
    flood.far.socket.write(encodeFrame(OPCODE.close, closePayload(1001)));
    const junk = Buffer.alloc(65_536, 0xff);
    for (let count = 0; count < 100; count++) flood.far.socket.write(junk);
    await flood.recorder.end();
    far.socket.resume();
    await bench.quiet();
  });

  it('ends a stuck connection that is closed with bytes waiting', async () => {
    const { connection, far } = await bench.open();
    far.socket.pause();
    while (connection.bufferedBytes < 5_000_000) connection.send(Buffer.alloc(60_000), true);
    connection.close(1001, '');
    far.socket.resume();
    await bench.quiet();
  });
});
