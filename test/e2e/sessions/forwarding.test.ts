import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { MASK } from '../../support/clients/raw-client.js';
import type { Message } from '../../support/clients/ws-client.js';
import { EchoAndScripted } from '../../support/gateway/echo-and-scripted.js';
import { encodeFrame, type Frame, FrameReader, OPCODE } from '../../support/protocols/frames.js';
import { switching } from '../../support/upstreams/raw-upstream.js';

const MIB = 1024 * 1024;
const BOUNDARY_SIZES = [0, 1, 2, 125, 126, 127, 65_535, 65_536, MIB];
const POOL = randomBytes(2 * MIB);

describe('forwarding', () => {
  const bed = new EchoAndScripted();
  function assertSame(got: Message, data: Buffer, isBinary: boolean, what: string): void {
    assert.equal(got.isBinary, isBinary, `${what}: opcode`);
    assert.equal(got.data.length, data.length, `${what}: length`);
    assert.ok(got.data.equals(data), `${what}: bytes`);
  }

  it('keeps sizes on every framing boundary, as text and as binary', async () => {
    const peer = await bed.open('/echo');
    for (const size of BOUNDARY_SIZES) {
      const text = Buffer.from('é'.repeat(size >> 1) + 'x'.repeat(size & 1));
      for (const [data, isBinary] of [
        [text, false],
        [POOL.subarray(0, size), true],
      ] as const) {
        peer.socket.send(data, { binary: isBinary });
        assertSame(await peer.next(), data, isBinary, `${size} bytes`);
      }
    }
    await peer.close();
  });

  it('keeps 10,000 messages of all sizes in order, both ways at once', async () => {
    const COUNT = 10_000;
    const WINDOW_BYTES = 256 * 1024;
    const messageAt = (index: number): Message => {
      const size =
        index % 1000 === 999
          ? MIB
          : index % 100 === 50
            ? 65_536 + index
            : (index * 7919) % (index % 3 ? 300 : 4000);
      return { data: POOL.subarray(index, index + Math.min(size, MIB)), isBinary: index % 2 === 0 };
    };
    // Text frames must be UTF-8: the odd messages are sent as hexadecimal.
    const bytesOf = ({ data, isBinary }: Message): Buffer =>
      isBinary ? data : Buffer.from(data.subarray(0, Math.ceil(data.length / 2)).toString('hex'));
    const peer = await bed.open('/echo');
    let [sent, received, unanswered] = [0, 0, 0];
    await new Promise<void>((resolve, reject) => {
      const fill = (): void => {
        while (sent < COUNT) {
          const message = messageAt(sent);
          const bytes = bytesOf(message);
          // The gateway cannot pause a client: only so much is under way that no buffer overflows.
          if (unanswered > 0 && unanswered + bytes.length > WINDOW_BYTES) return;
          unanswered += bytes.length;
          sent++;
          peer.socket.send(bytes, { binary: message.isBinary });
        }
      };
      peer.socket.on('message', () => {
        try {
          const got = peer.inbox.shift()!;
          const expected = messageAt(received);
          assertSame(got, bytesOf(expected), expected.isBinary, `message ${received}`);
          unanswered -= got.data.length;
          if (++received === COUNT) resolve();
          else fill();
        } catch (error) {
          reject(error as Error);
        }
      });
      void peer.closed.then(({ code, reason }) =>
        reject(new Error(`closed ${code} ${reason} after ${received}`)),
      );
      fill();
    });
    await peer.close();
    const metrics = await bed.gateway.metrics();
    for (const direction of ['client_to_upstream', 'upstream_to_client'])
      assert.ok(metrics.sum('ws_messages_total', { direction, protocol: 'raw' }) >= COUNT, direction);
  });

  it('bears any segmentation of what a client sends', async () => {
    const client = await bed.openRaw('/echo');
    const frames = client.frames();
    for (const [segment, size] of [
      [1, 66_000],
      [2, 66_000],
      [3, 126],
      [7, 200_000],
      [64, MIB],
    ] as const) {
      const payload = POOL.subarray(0, size);
      const bytes = encodeFrame(OPCODE.binary, payload, { mask: MASK });
      for (let at = 0; at < bytes.length; at += segment) {
        if (!client.socket.write(bytes.subarray(at, at + segment)))
          await new Promise((resolve) => client.socket.once('drain', resolve));
      }
      const pieces: Buffer[] = [];
      for (;;) {
        const { value: frame } = await frames.next();
        assert.ok(frame, 'still open');
        pieces.push(frame.payload);
        if (frame.fin) break;
      }
      assert.ok(Buffer.concat(pieces).equals(payload), `${size} bytes by ${segment}`);
    }
    client.frame(OPCODE.close);
    await client.closed;
  });

  it('bears any segmentation of what an upstream sends, its answer to the handshake too', async () => {
    for (const [segment, size] of [
      [1, 66_000],
      [3, 126],
      [64, MIB],
    ] as const) {
      const payload = POOL.subarray(0, size);
      bed.scripted.script = (socket, head) => {
        const bytes = Buffer.concat([
          Buffer.from(switching(head)),
          encodeFrame(OPCODE.binary, payload),
          encodeFrame(OPCODE.text, 'after'),
        ]);
        void (async () => {
          for (let at = 0; at < bytes.length && !socket.destroyed; at += segment) {
            if (!socket.write(bytes.subarray(at, at + segment)))
              await new Promise((resolve) => socket.once('drain', resolve));
          }
        })();
        answerClose(socket);
      };
      const peer = await bed.open('/scripted');
      assertSame(await peer.next(), payload, true, `${size} bytes by ${segment}`);
      assert.equal(await peer.text(), 'after');
      await peer.close();
    }
  });

  it('passes large and fragmented upstream messages on whole, pings in between answered', async () => {
    const pongs: Buffer[] = [];
    const payload = Buffer.concat([POOL, POOL, POOL]);
    bed.scripted.script = (socket, head) => {
      socket.write(switching(head));
      const third = Math.floor(payload.length / 3);
      socket.write(encodeFrame(OPCODE.binary, payload.subarray(0, third), { fin: false }));
      socket.write(encodeFrame(OPCODE.ping, 'between'));
      socket.write(encodeFrame(OPCODE.continuation, '', { fin: false }));
      answerClose(socket, (frame) => {
        if (frame.opcode !== OPCODE.pong) return;
        pongs.push(frame.payload);
        // The rest comes only when the ping was answered in the middle of the message.
        socket.write(encodeFrame(OPCODE.continuation, payload.subarray(third, 2 * third), { fin: false }));
        socket.write(encodeFrame(OPCODE.continuation, payload.subarray(2 * third)));
        socket.write(encodeFrame(OPCODE.text, 'after'));
      });
    };
    const peer = await bed.open('/scripted');
    assertSame(await peer.next(), payload, true, 'the message');
    assert.equal(await peer.text(), 'after');
    assert.deepEqual(pongs.map(String), ['between']);
    await peer.close();
  });

  it('passes a fragmented client message on whole, and answers its pings itself', async () => {
    const client = await bed.openRaw('/echo');
    client.frame(OPCODE.text, 'one ', { fin: false });
    client.frame(OPCODE.ping, 'me');
    client.frame(OPCODE.continuation, '', { fin: false });
    client.frame(OPCODE.continuation, 'two');
    const got: [number, string][] = [];
    for await (const frame of client.frames()) {
      got.push([frame.opcode, frame.payload.toString()]);
      if (got.length === 2) break;
    }
    assert.deepEqual(got, [
      [OPCODE.pong, 'me'],
      [OPCODE.text, 'one two'],
    ]);
    client.destroy();
    assert.deepEqual(await (await bed.echo.session()).ended(), { code: 1001, reason: '' });
  });
});

/** What a right upstream does with a close frame; `onFrame` sees the others. */
function answerClose(socket: Socket, onFrame: (frame: Frame) => void = () => {}): void {
  const reader = new FrameReader();
  socket.on('data', (bytes) => {
    for (const frame of reader.push(bytes)) {
      if (frame.opcode === OPCODE.close) socket.end(encodeFrame(OPCODE.close, frame.payload));
      else onFrame(frame);
    }
  });
}
