import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { Front, Inbox } from '../front.js';
import { codes, down, frames, KEY, up } from '../wire.js';

describe('closing codes', () => {
  const VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
  const INVALID = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];

  it('pass from the client to the upstream, all of them; the client gets its own back', async (t) => {
    const front = await Front.start(t);
    for (const code of [...VALID, 1010]) {
      const { client, upstream } = await front.open();
      const [told, heard] = [new Inbox(client), new Inbox(upstream)];
      client.write(up(OPCODE.close, closePayload(code, 'é'.repeat(61))));
      await eventually(() => codes(heard).length === 1);
      upstream.end(down(OPCODE.close, closePayload(code)));
      await eventually(() => told.ended);
      assert.deepEqual([codes(told), codes(heard)], [[code], [code]]);
      assert.equal(frames(heard)[0]!.payload.toString('utf8', 2), 'é'.repeat(61));
    }
    await front.bench.quiet();
  });

  it('pass from the upstream to the client; 1010 becomes 1011', async (t) => {
    const front = await Front.start(t);
    for (const code of [...VALID, 1010]) {
      const { client, upstream } = await front.open();
      const [told, heard] = [new Inbox(client), new Inbox(upstream)];
      upstream.write(down(OPCODE.close, closePayload(code, 'why')));
      await eventually(() => codes(told).length === 1 && heard.ended);
      assert.deepEqual([codes(told), codes(heard)], [[code === 1010 ? 1011 : code], [code]]);
      client.end(up(OPCODE.close, closePayload(code)));
    }
    await front.bench.quiet();
  });

  it('are answered once the upstream has said all it had to say, or had the time to', async (t) => {
    const front = await Front.start(t, { config: { controlTimeoutMs: 50 } });
    const { client, upstream } = await front.open();
    const [told, heard] = [new Inbox(client), new Inbox(upstream)];
    const answer = down(OPCODE.text, 'the answer');
    client.write(Buffer.concat([up(OPCODE.text, 'the question'), up(OPCODE.close, closePayload(1000))]));
    await eventually(() => codes(heard).length === 1);
    upstream.write(Buffer.concat([answer.subarray(0, 5)]));
    await eventually(() => told.length === 5);
    upstream.write(Buffer.concat([answer.subarray(5), down(OPCODE.close, closePayload(1000))]));
    await eventually(() => told.ended);
    assert.deepEqual(
      frames(told).map(({ opcode }) => opcode),
      [OPCODE.text, OPCODE.close],
    );
    const silent = await front.open();
    const toldToo = new Inbox(silent.client);
    silent.upstream.resume();
    silent.client.write(up(OPCODE.close, closePayload(4001)));
    await eventually(() => toldToo.ended);
    assert.deepEqual(codes(toldToo), [4001]);
    await front.bench.quiet();
  });

  it('that may not be sent are 1002 to whoever sent them, 1001 upstream and 1014 to the client', async (t) => {
    const front = await Front.start(t);
    for (const code of INVALID) {
      const one = await front.open();
      const [told, heard] = [new Inbox(one.client), new Inbox(one.upstream)];
      one.client.write(up(OPCODE.close, closePayload(code)));
      await eventually(() => told.ended && codes(heard).length === 1);
      assert.deepEqual([codes(told), codes(heard)], [[1002], [1001]], `client ${code}`);
      one.upstream.end();
      const two = await front.open();
      const [toldToo, heardToo] = [new Inbox(two.client), new Inbox(two.upstream)];
      two.upstream.write(down(OPCODE.close, closePayload(code)));
      await eventually(() => codes(toldToo).length === 1 && heardToo.ended);
      assert.deepEqual([codes(toldToo), codes(heardToo)], [[1014], [1002]], `upstream ${code}`);
      two.client.end(up(OPCODE.close, closePayload(1014)));
    }
    await front.bench.quiet();
  });

  it('are none for an empty close frame; 1014 and 1001 where there was no close frame at all', async (t) => {
    const front = await Front.start(t);
    const open = async () => {
      const { client, upstream } = await front.open();
      return { client, upstream, told: new Inbox(client), heard: new Inbox(upstream) };
    };
    const one = await open();
    one.client.write(up(OPCODE.close));
    await eventually(() => codes(one.heard).length === 1);
    // An upstream that just ends TCP has answered, too.
    one.upstream.end();
    await eventually(() => one.told.ended);
    assert.deepEqual([codes(one.told), codes(one.heard)], [[1005], [1005]]);
    const two = await open();
    two.upstream.write(down(OPCODE.close));
    await eventually(() => two.heard.ended && codes(two.told).length === 1);
    assert.deepEqual([codes(two.told), codes(two.heard)], [[1005], [1005]]);
    two.client.end(up(OPCODE.close));
    for (const end of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const lostUpstream = await open();
      lostUpstream.upstream[end]();
      await eventually(() => codes(lostUpstream.told).length === 1);
      assert.deepEqual(codes(lostUpstream.told), [1014], `upstream ${end}`);
      lostUpstream.client.end(up(OPCODE.close, closePayload(1014)));
      const lostClient = await open();
      lostClient.client[end]();
      await eventually(() => codes(lostClient.heard).length === 1);
      assert.deepEqual(codes(lostClient.heard), [1001], `client ${end}`);
      lostClient.upstream.end();
    }
    await front.bench.quiet();
  });

  it('of violations: 1002 and 1007 to the client, then TCP ends; 1002 to the upstream and 1014 to the client', async (t) => {
    const front = await Front.start(t);
    const bad = [
      ['an unmasked frame', encodeFrame(OPCODE.text, 'x'), down(OPCODE.text, 'x', { mask: KEY }), 1002],
      ['a reserved bit', up(OPCODE.text, 'x', { rsv: 1 }), down(OPCODE.text, 'x', { rsv: 1 }), 1002],
      ['an orphan', up(OPCODE.continuation, 'x'), down(OPCODE.continuation, 'x'), 1002],
      [
        'a bad reason',
        up(OPCODE.close, Buffer.concat([closePayload(1000), Buffer.from([0xc3])])),
        down(OPCODE.close, Buffer.concat([closePayload(1000), Buffer.from([0xc3])])),
        1007,
      ],
    ] as const;
    for (const [name, ofClient, ofUpstream, code] of bad) {
      const one = await front.open();
      const [told, heard] = [new Inbox(one.client), new Inbox(one.upstream)];
      one.client.write(Buffer.concat([up(OPCODE.text, 'good'), ofClient, up(OPCODE.text, 'late')]));
      await eventually(() => told.ended && codes(heard).length === 1);
      assert.deepEqual([codes(told), codes(heard)], [[code], [1001]], name);
      assert.equal(frames(heard)[0]!.payload.toString(), 'good');
      one.upstream.end();
      const two = await front.open();
      const [toldToo, heardToo] = [new Inbox(two.client), new Inbox(two.upstream)];
      two.upstream.write(Buffer.concat([down(OPCODE.text, 'good'), ofUpstream, down(OPCODE.text, 'late')]));
      await eventually(() => codes(toldToo).length === 1 && heardToo.ended);
      assert.deepEqual([codes(toldToo), codes(heardToo)], [[1014], [code]], name);
      assert.equal(frames(toldToo)[0]!.payload.toString(), 'good');
      two.client.end(up(OPCODE.close, closePayload(1014)));
    }
    await front.bench.quiet();
  });
});
