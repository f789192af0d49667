import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { CLOSE_REASONS, type CloseCode, type CloseReasonKey } from '../../../internal/close-codes.js';
import { NodeClientSocket } from '../../../internal/gateway/node/client-socket.js';
import type { ClientListener } from '../../../internal/session/client-socket.js';
import { Sockets } from '../../../internal/upstream/socket/sockets.js';
import { tcpBinding } from '../../../internal/upstream/socket/tcp-binding.js';
import { FrameWriter } from '../../../internal/upstream/websocket/frame-writer.js';
import { eventually, within } from '../../support/eventually.js';
import {
  closePayload,
  encodeFrame,
  type Frame,
  FrameReader,
  OPCODE,
} from '../../support/protocols/frames.js';

const KEY = Buffer.from([1, 2, 3, 4]);

/**
 * A session that takes messages and ends as sessions do: it tells the client, and hears
 * when its connection is gone.
 */
class Listener implements ClientListener {
  readonly messages: string[] = [];
  alive = 0;
  closed: { key: CloseReasonKey; passed: CloseCode | undefined } | undefined;
  gone = false;
  limitBytes = 1000;
  client: NodeClientSocket | undefined;

  onClientMessage(payload: Uint8Array, isBinary: boolean): void {
    this.messages.push(`${isBinary ? 'binary' : 'text'} ${Buffer.from(payload).toString('latin1')}`);
    if (this.messages.at(-1) === 'text throw') throw new Error('thrown by a test');
  }

  messageRefusal(bytes: number): CloseReasonKey | undefined {
    return bytes > this.limitBytes ? 'messageTooBig' : undefined;
  }

  onClientAlive(): void {
    this.alive++;
  }

  onClientDrain(): void {}

  onClientClosed(): void {
    this.gone = true;
  }

  close(key: CloseReasonKey, passed?: CloseCode): void {
    if (this.closed !== undefined) return;
    this.closed = { key, passed };
    const told = CLOSE_REASONS[key].client ?? passed;
    if (told === undefined) this.client?.terminate();
    else this.client?.end(told.code, told.reason);
  }
}

interface Lab {
  readonly listener: Listener;
  readonly client: NodeClientSocket;
  /** The client's own end. */
  readonly far: Socket;
  readonly frames: Frame[];
  send(...bytes: Buffer[]): void;
}

async function connected(t: TestContext, early: Buffer = Buffer.alloc(0), handles = true): Promise<Lab> {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Sockets(handles ? tcpBinding() : null);
  const listener = new Listener();
  let ready = () => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const socket = sockets.open(
    { host: '127.0.0.1', port: (server.address() as AddressInfo).port, tls: undefined },
    {
      socketReady: ready,
      socketRead: () => false,
      socketEnded: () => {},
      socketFailed: (error) => assert.fail(error),
      socketClosed: () => {},
    },
  );
  const [far] = (await once(server, 'connection')) as [Socket];
  await isReady;
  socket.pause();
  const shared = {
    readBuffer: sockets.readBuffer,
    writer: new FrameWriter(undefined),
  };
  const client = new NodeClientSocket(socket, shared);
  listener.client = client;
  const frames: Frame[] = [];
  const reader = new FrameReader();
  far.on('data', (bytes) => frames.push(...reader.push(bytes))).on('error', () => {});
  client.start(listener, early);
  t.after(() => {
    client.terminate();
    far.destroy();
    server.close();
  });
  return {
    listener,
    client,
    far,
    frames,
    send: (...bytes) => far.write(Buffer.concat(bytes)),
  };
}

const text = (payload: string, more: object = {}): Buffer =>
  encodeFrame(OPCODE.text, payload, { mask: KEY, ...more });

const told = ({ frames }: Lab): [number, number][] =>
  frames.map(({ opcode, payload }) => [opcode, payload.length < 2 ? 0 : payload.readUInt16BE(0)]);

describe('a client socket of the listener node, before its session is open', () => {
  for (const handles of [true, false]) {
    it(`hands over messages, also those that came behind the head, ${handles ? 'on handles' : 'on streams'}`, async (t) => {
      const early = text('early');
      const lab = await connected(t, Buffer.concat([early, text('split').subarray(0, 4)]), handles);
      assert.deepEqual(lab.listener.messages, ['text early']);
      lab.send(
        text('split').subarray(4),
        encodeFrame(OPCODE.binary, 'one ', { mask: KEY, fin: false }),
        encodeFrame(OPCODE.ping, 'hi', { mask: KEY }),
        encodeFrame(OPCODE.continuation, '', { mask: KEY, fin: false }),
        encodeFrame(OPCODE.continuation, 'two', { mask: KEY }),
        text(''),
      );
      await eventually(() => lab.listener.messages.length === 4);
      assert.deepEqual(lab.listener.messages, ['text early', 'text split', 'binary one two', 'text ']);
      await eventually(() => lab.frames.length === 1);
      assert.deepEqual(
        lab.frames.map(({ opcode, masked, payload }) => [opcode, masked, payload.toString()]),
        [[OPCODE.pong, false, 'hi']],
      );
      assert.equal(lab.listener.alive, 1);
    });
  }

  it('takes a message byte by byte', async (t) => {
    const lab = await connected(t);
    for (const byte of Buffer.concat([text('slow'), text('x'.repeat(200))])) {
      lab.send(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await eventually(() => lab.listener.messages.length === 2);
    assert.deepEqual(lab.listener.messages, ['text slow', `text ${'x'.repeat(200)}`]);
  });

  it('answers the close frame with its code and closes TCP first', async (t) => {
    const lab = await connected(t);
    const ended = once(lab.far, 'end');
    lab.send(encodeFrame(OPCODE.close, closePayload(3999, 'bye'), { mask: KEY }), text('too late'));
    await within(ended, 'the end of TCP');
    assert.deepEqual(lab.listener.closed, { key: 'clientClosed', passed: { code: 3999, reason: 'bye' } });
    assert.deepEqual(told(lab), [[OPCODE.close, 3999]]);
    assert.deepEqual(lab.listener.messages, []);
    await eventually(() => lab.listener.gone);
  });

  it('answers an empty close frame with an empty one', async (t) => {
    const lab = await connected(t);
    lab.send(encodeFrame(OPCODE.close, '', { mask: KEY }));
    await within(once(lab.far, 'end'), 'the end of TCP');
    assert.deepEqual(
      lab.frames.map(({ opcode, payload }) => [opcode, payload.length]),
      [[OPCODE.close, 0]],
    );
  });

  it('waits for the answer to its own close frame', async (t) => {
    const lab = await connected(t);
    lab.listener.close('jwtInvalid');
    await eventually(() => lab.frames.length === 1);
    assert.deepEqual(told(lab), [[OPCODE.close, 1008]]);
    lab.send(text('dropped'), encodeFrame(OPCODE.close, closePayload(1008), { mask: KEY }));
    await within(once(lab.far, 'end'), 'the end of TCP');
    await eventually(() => lab.listener.gone);
    assert.equal(lab.frames.length, 1);
    assert.deepEqual(lab.listener.messages, []);
  });

  const faults: readonly [string, Buffer, CloseReasonKey, number][] = [
    ['an unmasked frame', encodeFrame(OPCODE.text, 'plain'), 'clientProtocolError', 1002],
    ['a reserved bit', text('x', { rsv: 4 }), 'clientProtocolError', 1002],
    ['a reserved opcode', encodeFrame(3, 'x', { mask: KEY }), 'clientProtocolError', 1002],
    ['an orphan continuation', encodeFrame(0, 'x', { mask: KEY }), 'clientProtocolError', 1002],
    [
      'a close frame with a code that no peer may send',
      encodeFrame(OPCODE.close, closePayload(1006), { mask: KEY }),
      'clientProtocolError',
      1002,
    ],
    [
      'a close reason that is not UTF-8',
      encodeFrame(OPCODE.close, Buffer.concat([closePayload(1000), Buffer.from([0xff])]), { mask: KEY }),
      'clientInvalidText',
      1007,
    ],
    [
      'the header of a message that is too large',
      Buffer.from([0x82, 0xfe, 0x03, 0xe9, 1, 2, 3, 4]),
      'messageTooBig',
      1009,
    ],
    [
      'a fragment that makes a message too large',
      Buffer.concat([
        encodeFrame(OPCODE.text, 'x'.repeat(600), { mask: KEY, fin: false }),
        encodeFrame(OPCODE.continuation, 'x'.repeat(401), { mask: KEY }).subarray(0, 8),
      ]),
      'messageTooBig',
      1009,
    ],
  ];
  for (const [name, bytes, key, code] of faults) {
    it(`tells ${code} of ${name}, then closes TCP`, async (t) => {
      const lab = await connected(t);
      const ended = once(lab.far, 'end');
      lab.send(text('good'), bytes, Buffer.alloc(10_000, 0x55));
      await within(ended, 'the end of TCP');
      assert.equal(lab.listener.closed?.key, key);
      assert.deepEqual(lab.listener.messages, ['text good']);
      assert.deepEqual(told(lab), [[OPCODE.close, code]]);
      await eventually(() => lab.listener.gone);
    });
  }

  it('tells of a connection that ends or breaks without a close frame', async (t) => {
    const [one, two] = [await connected(t), await connected(t)];
    one.far.end();
    two.far.resetAndDestroy();
    await eventually(() => one.listener.gone && two.listener.gone);
  });

  it('ends the one session whose handler throws', async (t) => {
    const lab = await connected(t);
    lab.send(text('throw'));
    await within(once(lab.far, 'data'), 'a frame');
    assert.equal(lab.listener.closed?.key, 'internalError');
    assert.deepEqual(told(lab), [[OPCODE.close, 1011]]);
  });

  it('answers the latest of a flood of pings while the client takes nothing, and drops nothing of it', async (t) => {
    const lab = await connected(t);
    const pings = Array.from({ length: 100 }, (_, index) =>
      encodeFrame(OPCODE.ping, `${index}`, { mask: KEY }),
    );
    lab.send(...pings);
    await eventually(() => lab.frames.at(-1)?.payload.toString() === '99');
    assert.ok(lab.frames.length < 100);
    assert.equal(lab.listener.alive, 100);
  });
});
