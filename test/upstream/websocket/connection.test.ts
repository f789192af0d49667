import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { Bench, Recorder, SOCKETS } from '../lab.js';

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes that differ everywhere, the same every time. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, value = 1; at < length; at++) {
    value = (Math.imul(value, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = value >>> 16;
  }
  return bytes;
}

for (const [kind, sockets] of SOCKETS)
  describe(`an open upstream connection, on ${kind}`, () => {
    let bench: Bench;
    before(async () => {
      bench = await Bench.start({}, sockets());
    });
    after(() => bench.close());

    for (const size of [0, 1, 125, 126, 127, 65_522, 65_523, 65_535, 65_536, 1_048_576]) {
      it(`sends ${size} bytes as text and as binary, whole`, async () => {
        const { connection, far } = await bench.open();
        const payload = Buffer.alloc(size, 'x');
        connection.send(payload, false);
        connection.send(payload, true);
        payload.fill('y');
        for (const [index, opcode] of [OPCODE.text, OPCODE.binary].entries()) {
          const frame = await far.frame(index);
          assert.deepEqual(
            [frame.opcode, frame.fin, frame.masked, frame.payload.length],
            [opcode, true, true, size],
          );
          assert.ok(frame.payload.equals(Buffer.alloc(size, 'x')), 'copied before send returned');
        }
        connection.destroy();
      });
    }

    it('keeps the messages of many connections apart and in order', async () => {
      const ends = await Promise.all(Array.from({ length: 8 }, () => bench.open()));
      for (let round = 0; round < 500; round++) {
        for (const [index, { connection }] of ends.entries()) {
          if (round % (index + 1) !== 0) continue;
          connection.send(pattern((round * 37) % 5000), true);
          connection.send(Buffer.from(`${index}:${round}`), false);
        }
        if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      for (const [index, { far, connection }] of ends.entries()) {
        const rounds = Array.from({ length: 500 }, (_, round) => round).filter(
          (round) => round % (index + 1) === 0,
        );
        await far.until(() => far.frames.length >= rounds.length * 2, 'all frames');
        for (const [at, round] of rounds.entries()) {
          assert.ok(far.frames[at * 2]!.payload.equals(pattern((round * 37) % 5000)));
          assert.equal(far.frames[at * 2 + 1]!.payload.toString(), `${index}:${round}`);
        }
        assert.equal(connection.bufferedBytes, 0);
        connection.destroy();
      }
    });

    it('sends everything to an upstream that takes it late, and says when it is out', async () => {
      const { connection, far, recorder } = await bench.open();
      const { connection: other, far: otherFar } = await bench.open();
      far.socket.pause();
      const message = pattern(10_000);
      let sent = 0;
      while (connection.bufferedBytes < 2_000_000) {
        connection.send(message, true);
        sent++;
        if (sent % 5 === 0) other.send(Buffer.from('x'), false);
        if (sent % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await otherFar.until(() => otherFar.frames.length === Math.floor(sent / 5), 'the other connection');
      assert.ok(otherFar.frames.every(({ payload }) => payload.toString() === 'x'));
      recorder.drains = 0;
      far.socket.resume();
      await far.until(() => far.frames.length === sent, 'every frame');
      assert.ok(far.frames.every(({ payload }) => payload.equals(message)));
      await recorder.until(() => recorder.drains > 0 && connection.bufferedBytes === 0, 'a drain');
      connection.destroy();
      other.destroy();
    });

    it('counts what waits before it is handed to the socket', async () => {
      const { connection, far } = await bench.open();
      connection.send(Buffer.alloc(100), true);
      assert.equal(connection.bufferedBytes, 106);
      connection.ping();
      assert.equal(connection.bufferedBytes, 112);
      assert.equal((await far.frame(1)).opcode, OPCODE.ping);
      assert.equal(connection.bufferedBytes, 0);
      connection.destroy();
    });

    for (const cut of [1, 2, 3, 7, 64]) {
      it(`takes 1 MiB in segments of ${cut} bytes`, async () => {
        const { connection, far, recorder } = await bench.open();
        const payload = pattern(2 ** 20);
        const bytes = Buffer.concat([
          encodeFrame(OPCODE.binary, payload),
          encodeFrame(OPCODE.text, 'é'.repeat(2000)),
        ]);
        // Small segments where boundaries matter, larger ones between: a MiB in single bytes proves no more.
        let at = 0;
        for (let segment = 0; at < bytes.length; segment++) {
          const size = at < 600 || at > bytes.length - 4600 ? cut : Math.max(cut, 997 * cut);
          far.socket.write(bytes.subarray(at, at + size));
          at += size;
          if (segment % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        const { payload: received, isBinary } = await recorder.message(0);
        assert.ok(isBinary);
        assert.equal(digest(received), digest(payload));
        assert.equal((await recorder.message(1)).payload.toString(), 'é'.repeat(2000));
        connection.destroy();
      });
    }

    it('passes a message larger than a read on piecewise', async () => {
      const { connection, far, recorder } = await bench.open();
      far.socket.write(encodeFrame(OPCODE.binary, pattern(300_000)));
      assert.equal(digest((await recorder.message(0)).payload), digest(pattern(300_000)));
      assert.ok(recorder.positions.length >= 2);
      assert.deepEqual([recorder.positions[0], recorder.positions.at(-1)], ['first', 'last']);
      connection.destroy();
    });

    it('hands a small message over whole although it came in two reads', async () => {
      const { connection, far, recorder } = await bench.open();
      const frame = encodeFrame(OPCODE.text, 'a'.repeat(5000));
      far.socket.write(frame.subarray(0, 1000));
      connection.heard = false;
      await eventually(() => connection.heard);
      far.socket.write(frame.subarray(1000));
      assert.equal((await recorder.message(0)).payload.length, 5000);
      assert.deepEqual(recorder.positions, []);
      connection.destroy();
    });

    it('puts several frames of one read into one batch, and one frame into none', async () => {
      const { connection, far, recorder } = await bench.open();
      far.socket.write(encodeFrame(OPCODE.text, 'one'));
      await recorder.message(0);
      assert.equal(recorder.batches, 0);
      far.socket.write(Buffer.concat(['a', 'b', 'c'].map((letter) => encodeFrame(OPCODE.text, letter))));
      await recorder.message(3);
      assert.deepEqual([recorder.batches, recorder.messages], [1, ['one', 'a', 'b', 'c']]);
      connection.destroy();
    });

    it('reads no more than once before it is started, and loses nothing of it', async () => {
      // More than kernels take.
      const large = pattern(16_000_000);
      const { connection, recorder, far } = await bench.open(false);
      far.socket.write(encodeFrame(OPCODE.text, 'early'));
      far.socket.write(encodeFrame(OPCODE.binary, large));
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.ok(far.socket.writableLength > 0, 'the rest waits with the upstream');
      connection.start(recorder);
      assert.equal(digest((await recorder.message(1)).payload), digest(large));
      assert.equal(recorder.messages[0], 'early');
      connection.destroy();
    });

    it('stops reading while paused and then delivers everything once', async () => {
      const { connection, far } = await bench.open(false);
      let pauses = 0;
      class Pausing extends Recorder {
        override onUpstreamMessage(payload: Buffer, isBinary: boolean): void {
          super.onUpstreamMessage(payload, isBinary);
          if (this.events.length % 100 !== 0) return;
          pauses++;
          connection.pause();
          setImmediate(() => connection.resume());
        }
      }
      const recorder = new Pausing();
      connection.start(recorder);
      const frames = Array.from({ length: 5000 }, (_, index) =>
        encodeFrame(OPCODE.text, `${index} ${'x'.repeat(index % 300)}`),
      );
      far.socket.write(Buffer.concat(frames));
      await recorder.message(4999);
      assert.ok(pauses >= 50);
      assert.deepEqual(
        recorder.messages.map((text) => Number.parseInt(text, 10)),
        Array.from({ length: 5000 }, (_, index) => index),
      );
      await new Promise((resolve) => setImmediate(resolve));
      connection.pause();
      recorder.receivedBytes = 0;
      far.socket.write(encodeFrame(OPCODE.text, 'late'));
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.equal(recorder.receivedBytes, 0);
      connection.resume();
      assert.equal((await recorder.message(5000)).payload.toString(), 'late');
      connection.destroy();
    });

    it('a paused connection makes a flooding upstream wait', async () => {
      const { connection, far, recorder } = await bench.open();
      connection.pause();
      const chunk = encodeFrame(OPCODE.binary, Buffer.alloc(60_000));
      for (let count = 0; count < 400; count++) far.socket.write(chunk);
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(far.socket.writableLength > 1_000_000, 'the bytes wait at the upstream');
      assert.ok(recorder.receivedBytes <= 65_536);
      connection.resume();
      await recorder.until(() => recorder.receivedBytes === 400 * 60_000, 'all of it');
      connection.destroy();
    });

    it('answers a ping in the middle of a message before the message ends', async () => {
      const { connection, far, recorder } = await bench.open();
      far.socket.write(encodeFrame(OPCODE.text, 'half', { fin: false }));
      far.socket.write(encodeFrame(OPCODE.ping, 'now'));
      const answer = await far.frame(0);
      assert.deepEqual([answer.opcode, answer.payload.toString()], [OPCODE.pong, 'now']);
      assert.deepEqual(recorder.messages, []);
      far.socket.write(encodeFrame(OPCODE.continuation, ' and half'));
      assert.equal((await recorder.message(0)).payload.toString(), 'half and half');
      connection.destroy();
    });

    it('a flood of pings to an upstream that reads nothing costs no memory', async () => {
      const { connection, far, recorder } = await bench.open();
      far.socket.pause();
      const pings = Buffer.concat(
        Array.from({ length: 500 }, () => encodeFrame(OPCODE.ping, 'x'.repeat(125))),
      );
      for (let count = 0; count < 200; count++) far.socket.write(pings);
      far.socket.write(encodeFrame(OPCODE.text, 'end'));
      await recorder.message(0);
      assert.ok(connection.bufferedBytes < 65_536);
      connection.destroy();
      far.socket.resume();
    });

    it('closes with code and reason behind what was sent', async () => {
      for (const [code, reason, expected] of [
        [1000, '', ''],
        [1001, 'bye', 'bye'],
        [4000, 'é'.repeat(100), 'é'.repeat(61)],
        [1011, 'r'.repeat(124), 'r'.repeat(123)],
      ] as const) {
        const { connection, far, recorder } = await bench.open();
        connection.send(Buffer.from('last'), false);
        connection.close(code, reason);
        connection.send(Buffer.from('too late'), false);
        const frame = await far.frame(1);
        assert.deepEqual(
          [frame.opcode, frame.payload.readUInt16BE(0), frame.payload.toString('utf8', 2)],
          [OPCODE.close, code, expected],
        );
        far.socket.write(encodeFrame(OPCODE.text, 'dropped'));
        far.socket.write(encodeFrame(OPCODE.close, closePayload(code)));
        assert.deepEqual(await recorder.end(), { kind: 'closed', code, reason: '' });
        await far.until(() => far.ended, 'end');
        assert.equal(far.frames.length, 2);
        assert.deepEqual(recorder.messages, []);
      }
    });

    for (const code of [1005, 1006, 1015, 999, 5000]) {
      it(`never puts ${code} on the wire`, async () => {
        const { connection, far, recorder } = await bench.open();
        connection.close(code, 'no');
        assert.equal((await far.frame(0)).payload.length, 0);
        far.socket.end(encodeFrame(OPCODE.close));
        assert.deepEqual(await recorder.end(), { kind: 'closed', code: 1005, reason: '' });
      });
    }

    it('an upstream that drops, ends or resets is lost', async () => {
      for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
        const { far, recorder } = await bench.open();
        far.socket[leave]();
        const last = await recorder.end();
        assert.ok(last.kind === 'lost' && last.error.code === 'ERR_UPSTREAM_LOST');
      }
      await bench.quiet();
    });

    it('is lost when the upstream went away before it was started', async () => {
      const { connection, far, recorder } = await bench.open(false);
      far.socket.resetAndDestroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
      connection.start(recorder);
      assert.equal((await recorder.end()).kind, 'lost');
    });

    it('calls nobody after destroy', async () => {
      const { connection, far, recorder } = await bench.open();
      connection.send(Buffer.from('never'), false);
      connection.destroy();
      connection.destroy();
      connection.send(Buffer.from('never'), false);
      connection.ping();
      connection.close(1000, '');
      connection.pause();
      connection.resume();
      await far.until(() => far.ended, 'end');
      assert.deepEqual([far.frames.length, recorder.events.length], [0, 0]);
    });

    for (const where of [
      'onUpstreamMessage',
      'onUpstreamFragment',
      'onUpstreamBatch',
      'onUpstreamClose',
      'onUpstreamDrain',
      'onUpstreamLost',
    ] as const) {
      it(`a listener that throws in ${where} loses its own connection only`, async () => {
        const { connection: bystander, far: bystanderFar } = await bench.open();
        const { connection, far } = await bench.open(false);
        const told: string[] = [];
        const recorder = new Recorder();
        recorder.onUpstreamLost = () => void told.push('lost');
        recorder.onUpstreamClose = () => void told.push('closed');
        const original = recorder[where].bind(recorder) as (...args: unknown[]) => void;
        recorder[where] = (...args: unknown[]) => {
          original(...args);
          throw new Error('a fault');
        };
        connection.start(recorder);
        if (where === 'onUpstreamDrain') {
          far.socket.pause();
          while (connection.bufferedBytes < 5_000_000) connection.send(Buffer.alloc(70_000), true);
          far.socket.resume();
        }
        if (where === 'onUpstreamClose') far.socket.write(encodeFrame(OPCODE.close, closePayload(1000)));
        else if (where === 'onUpstreamLost') far.socket.destroy();
        else if (where === 'onUpstreamFragment')
          far.socket.write(encodeFrame(OPCODE.text, 'x', { fin: false }));
        else if (where === 'onUpstreamMessage') far.socket.write(encodeFrame(OPCODE.text, 'x'));
        else if (where === 'onUpstreamBatch')
          far.socket.write(Buffer.concat([encodeFrame(OPCODE.text, 'x'), encodeFrame(OPCODE.text, 'y')]));
        await far.until(() => far.ended, 'end');
        await eventually(() => told.length === 1);
        assert.deepEqual(told, [where === 'onUpstreamClose' ? 'closed' : 'lost']);
        bystander.send(Buffer.from('still here'), false);
        assert.equal((await bystanderFar.frame(0)).payload.toString(), 'still here');
        bystander.destroy();
      });
    }

    it('leaves no connection behind', () => bench.quiet());
  });

describe('random masking', () => {
  it('masks with keys of its own and keeps every byte', async () => {
    const bench = await Bench.start({ masking: 'random' });
    const { connection, far } = await bench.open();
    const wire: Buffer[] = [];
    far.socket.on('data', (bytes: Buffer) => wire.push(bytes));
    const sizes = [0, 1, 2, 3, 4, 5, 63, 64, 65, 125, 126, 1000, 65_535, 65_536, 100_001];
    for (const size of sizes) connection.send(pattern(size), true);
    connection.send(Buffer.from('a readable secret, a readable secret'), false);
    await far.frame(sizes.length);
    for (const [index, size] of sizes.entries())
      assert.ok(far.frames[index]!.payload.equals(pattern(size)), `${size}`);
    assert.ok(!Buffer.concat(wire).includes('readable'));
    connection.destroy();
    await bench.close();
  });
});
