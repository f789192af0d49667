import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import * as ws from 'ws';
import { eventually } from '../../support/eventually.js';
import { AUTOBAHN, type AutobahnCase } from '../../support/protocols/autobahn.js';
import {
  closePayload,
  encodeFrame,
  type Frame,
  FrameReader,
  OPCODE,
} from '../../support/protocols/frames.js';
import { Front, Inbox } from '../front.js';

/** The strict parser of `ws`, which its types leave out. */
const { Receiver } = ws as unknown as {
  readonly Receiver: new (options: { readonly isServer: boolean; readonly maxPayload: number }) => Writable;
};

const KEY = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/**
 * Cases with a good message before the fault: the gateway refuses the fault at once, when the echo behind it
 * may not have answered the message yet. That is a proxy's place, and all that is not as with an endpoint.
 */
const ECHO_MAY_BE_OVERTAKEN: ReadonlySet<string> = new Set([
  ...['3.2', '3.3', '3.4', '4.1.3', '4.1.4', '4.1.5', '4.2.3', '4.2.4', '4.2.5', '5.15'],
]);
/** Likewise where an upstream closes right behind its message: its close frame is answered at once. */
const UPSTREAM_CLOSES_FIRST: ReadonlySet<string> = new Set(['7.1.1', '7.1.6']);

/** The end that echoes: strict, and quick to close, as a good endpoint is. */
function echo(socket: Socket, isServer: boolean): void {
  const options = isServer ? {} : { mask: KEY };
  const receiver = new Receiver({ isServer, maxPayload: 0 });
  let told = false;
  const close = (payload: Buffer): void => {
    if (told) return;
    told = true;
    socket.write(encodeFrame(OPCODE.close, payload, options));
  };
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    if (!told) socket.write(encodeFrame(isBinary ? OPCODE.binary : OPCODE.text, data, options));
  });
  receiver.on('ping', (data: Buffer) => socket.write(encodeFrame(OPCODE.pong, data, options)));
  receiver.on('conclude', (code: number) => {
    close(code === 1005 ? Buffer.alloc(0) : closePayload(code));
    if (isServer) socket.end();
  });
  receiver.on('error', (error: Error) => {
    const codes = Object.getOwnPropertySymbols(error).map((symbol) => Reflect.get(error, symbol) as unknown);
    const code = codes.find((value) => typeof value === 'number');
    close(closePayload(typeof code === 'number' ? code : 1002));
  });
  socket.on('data', (bytes) => {
    if (!receiver.destroyed) receiver.write(bytes);
  });
  socket.on('end', () => socket.end());
  socket.resume();
}

async function send(socket: Socket, { frames, chop }: AutobahnCase, mask: Buffer | undefined): Promise<void> {
  const bytes = Buffer.concat(
    frames.map(({ opcode, payload, fin, rsv }) =>
      encodeFrame(opcode, payload, { fin, rsv, ...(mask === undefined ? {} : { mask }) }),
    ),
  );
  const step = chop ?? bytes.length;
  for (let at = 0; at < bytes.length; at += step) {
    socket.write(bytes.subarray(at, at + step));
    // Small ones as reads of their own.
    if (bytes.length / step < 300) await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Got {
  readonly echoes: (string | Buffer)[];
  readonly pongs: Buffer[];
  readonly closes: number[];
}

function got(inbox: Inbox): Got {
  const result: Got = { echoes: [], pongs: [], closes: [] };
  let parts: Frame[] = [];
  for (const frame of new FrameReader().push(inbox.bytes)) {
    if (frame.opcode === OPCODE.pong) result.pongs.push(frame.payload);
    else if (frame.opcode === OPCODE.close)
      result.closes.push(frame.payload.length === 0 ? 1005 : frame.payload.readUInt16BE(0));
    else parts.push(frame);
    if (parts.length === 0 || !frame.fin || frame.opcode >= OPCODE.close) continue;
    const message = Buffer.concat(parts.map(({ payload }) => payload));
    result.echoes.push(parts[0]!.opcode === OPCODE.text ? message.toString() : message);
    parts = [];
  }
  return result;
}

/** Whether as many bytes have come as all that is wanted has, at the least. */
function isWhole({ echoes, pongs }: AutobahnCase, inbox: Inbox): boolean {
  const bytes = [...echoes, ...pongs].reduce((sum, each) => sum + Buffer.byteLength(each) + 2, 0);
  if (inbox.length < bytes) return false;
  const has = got(inbox);
  return has.echoes.length >= echoes.length && has.pongs.length >= pongs.length;
}

/** Plays a case; the fuzzing peer is the client, or the upstream. */
async function play(front: Front, item: AutobahnCase, side: 'client' | 'upstream'): Promise<void> {
  const { client, upstream } = await front.open();
  const [fuzzer, other] = side === 'client' ? [client, upstream] : [upstream, client];
  echo(other, side === 'client');
  const inbox = new Inbox(fuzzer);
  const mask = side === 'client' ? KEY : undefined;
  await send(fuzzer, item, mask);
  const over = () => inbox.ended || inbox.closed;
  if (item.closes) {
    await eventually(() => over() || isWhole(item, inbox), 20_000);
    fuzzer.write(encodeFrame(OPCODE.close, closePayload(1000), mask === undefined ? {} : { mask }));
  }
  // What has been told to close answers, as the suite does.
  const told = () => inbox.length < 1000 && got(inbox).closes.length > 0;
  await eventually(() => over() || told(), 20_000);
  if (!over()) fuzzer.end(encodeFrame(OPCODE.close, closePayload(1000), mask === undefined ? {} : { mask }));
  await eventually(over, 20_000);
  const { echoes, pongs, closes } = got(inbox);
  assert.deepEqual(closes, [item.code], `${item.id}: the close frame`);
  assert.deepEqual(pongs, item.pongs, `${item.id}: pongs`);
  const mayBeOvertaken =
    ECHO_MAY_BE_OVERTAKEN.has(item.id) || (side === 'upstream' && UPSTREAM_CLOSES_FIRST.has(item.id));
  fuzzer.destroy();
  if (echoes.length === 0 && mayBeOvertaken) return;
  assert.equal(echoes.length, item.echoes.length, `${item.id}: echoes`);
  for (const [index, expected] of item.echoes.entries())
    assert.ok(Buffer.from(expected as Buffer).equals(Buffer.from(echoes[index] as Buffer)), item.id);
}

async function playAll(t: TestContext, side: 'client' | 'upstream'): Promise<void> {
  const front = await Front.start(t, { config: { maxMessageBytes: 64 * 1_048_576 } });
  const left = [...AUTOBAHN];
  const failures: string[] = [];
  const lanes = Array.from({ length: 6 }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      const { id } = item;
      await play(front, item, side).catch((error: unknown) => failures.push(`${id}: ${String(error)}`));
    }
  });
  await Promise.all(lanes);
  assert.deepEqual(failures, []);
  await front.bench.quiet();
}

describe('the Autobahn testsuite', () => {
  it('is here with its 301 cases that are not about compression', () => {
    assert.equal(AUTOBAHN.length, 301);
    assert.equal(new Set(AUTOBAHN.map(({ id }) => id)).size, 301);
  });

  it('is passed towards clients, to the close code', (t) => playAll(t, 'client'));

  it('is passed towards upstreams, to the close code', (t) => playAll(t, 'upstream'));
});
