import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { Connection, type Outgoing } from '../../../internal/upstream/http/connection.js';
import { NoTurn } from '../../../internal/upstream/http/connection-lost.js';
import { SendQueue } from '../../../internal/upstream/http/send-queue.js';
import type { CircuitState } from '../../../internal/upstream/pool/circuit-breaker.js';
import { DialTurns } from '../../../internal/upstream/pool/dial-turns.js';
import { ReusedBuffer } from '../../../internal/upstream/socket/reused-buffer.js';
import type { SocketOwner, UpstreamSocket } from '../../../internal/upstream/socket/socket.js';
import { eventually } from '../../support/eventually.js';

const REQUEST = { method: 'GET', path: '/', host: 'x', headers: [], body: undefined, hasLength: false };

/** A socket that keeps what is written to it. */
class Wire implements UpstreamSocket {
  readonly written: string[] = [];
  readonly writable = true;
  writableLength = 0;
  waitingWrites = 0;
  readonly bytesWritten = 0;
  readonly isReset = false;
  isDestroyed = false;

  constructor(public owner: SocketOwner) {}

  write(bytes: Uint8Array): void {
    this.written.push(Buffer.from(bytes).toString('latin1'));
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  close(): void {}
  destroy(): void {
    this.isDestroyed = true;
  }
}

/** Connections to an endpoint that takes one dial at a time, whose dials end when the test says so. */
function lab() {
  const wires: Wire[] = [];
  const breaker = { state: 'closed' as CircuitState };
  const readBuffer = new ReusedBuffer();
  const open = (owner: SocketOwner) => {
    const wire = new Wire(owner);
    wires.push(wire);
    return wire;
  };
  const endpoint = { turns: new DialTurns(1), breaker };
  const dial = { endpoint, readBuffer, open, queue: new SendQueue() };
  const say = (wire: Wire | undefined, text: string) =>
    wire?.owner.socketRead(readBuffer.bytes.write(text, 'latin1'));
  const connection = (connectMs = 60_000) => new Connection({ ...dial, connectMs }, () => {});
  const ask = (over = connection(), changes: Partial<Outgoing> = {}) =>
    new Promise<Error | number>((resolve) => {
      let answered = 0;
      over.send(
        { ...REQUEST, ...changes },
        {
          trailers: () => '',
          onConnected: () => {},
          onHead: (status) => {
            answered = status;
          },
          onBytes: () => true,
          onEnd: () => resolve(answered),
          onError: resolve,
        },
      );
    });
  return { wires, breaker, say, connection, ask };
}

describe('a dial for an exchange', () => {
  const refused = new Error('refused');

  it('waits until it is its turn, which goes from hand to hand', async () => {
    const { wires, ask } = lab();
    const asked = [ask(), ask(), ask()];
    for (const [index, answer] of asked.entries()) {
      await eventually(() => wires.length === index + 1);
      wires[index]?.owner.socketFailed(refused);
      assert.equal(await answer, refused);
    }
  });

  it('that no turn comes for in time is given up', async () => {
    const { wires, connection, ask } = lab();
    const first = ask();
    assert.ok((await ask(connection(20))) instanceof NoTurn);
    wires[0]?.owner.socketFailed(refused);
    await first;
    assert.equal(wires.length, 1);
  });

  it('whose circuit opened while it waited is not made, and gives its turn on', async () => {
    const { wires, breaker, ask } = lab();
    const asked = [ask(), ask(), ask()];
    breaker.state = 'open';
    wires[0]?.owner.socketFailed(refused);
    assert.equal(await asked[0], refused);
    assert.ok((await asked[1]) instanceof NoTurn && (await asked[2]) instanceof NoTurn);
    assert.equal(wires.length, 1);
  });

  it('that takes too long is given up', async () => {
    const { wires, connection, ask } = lab();
    assert.match(String(await ask(connection(20))), /not connected within 20 ms/);
    assert.equal(wires[0]?.isDestroyed, true);
  });
});

describe('a kept-alive connection', () => {
  async function used() {
    const { wires, say, connection, ask } = lab();
    const kept = connection();
    const first = ask(kept);
    const [wire] = wires;
    wire?.owner.socketReady?.();
    say(wire, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    assert.equal(await first, 200);
    assert.ok(kept.isOpen && wire !== undefined);
    return { kept, wire, wires, say, ask };
  }

  it('takes one request after the other', async () => {
    const { kept, wire, say, ask } = await used();
    const second = ask(kept);
    await eventually(() => wire.written.length === 2);
    say(wire, 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    assert.equal(await second, 404);
    assert.ok(kept.isReused);
  });

  it('on which something comes unasked is dropped', async () => {
    const { kept, wire, say } = await used();
    say(wire, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    assert.ok(!kept.isOpen && wire.isDestroyed);
  });

  it('does not let what came before a request pass for its answer: that goes out on another one', async () => {
    const { kept, wire, wires, say, ask } = await used();
    const second = ask(kept);
    say(wire, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await eventually(() => wires.length === 2);
    assert.ok(wire.isDestroyed && wire.written.length === 1);
    wires[1]?.owner.socketReady?.();
    say(wires[1], 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    assert.equal(await second, 404);
    assert.ok(!kept.isReused);
  });

  for (const [what, ends] of [
    ['ends', false],
    ['is spoken on unasked', true],
  ] as const)
    it(`that ${what} before the body of a request has begun is not the one it goes out on`, async () => {
      const { kept, wire, wires, say, ask } = await used();
      const body = new Readable({ read() {} });
      const second = ask(kept, { method: 'POST', body });
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      if (ends) say(wire, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      else wire.owner.socketEnded();
      await eventually(() => wires.length === 2);
      wires[1]?.owner.socketReady?.();
      body.push('a');
      body.push(null);
      await eventually(() => /1\r\na\r\n0\r\n\r\n$/.test(wires[1]?.written.join('') ?? ''));
      say(wires[1], 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
      assert.equal(await second, 404);
      assert.ok(wire.isDestroyed && wire.written.length === 1);
    });

  it('takes a request as soon as its body begins, or breaks off', async () => {
    const { kept, wire, say, ask } = await used();
    const second = ask(kept, { method: 'POST', body: Readable.from([Buffer.from('a')]) });
    await eventually(() => wire.written.join('').endsWith('1\r\na\r\n0\r\n\r\n'));
    say(wire, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    assert.equal(await second, 200);
    const body = new Readable({ read() {} });
    const third = ask(kept, { method: 'POST', body });
    body.destroy();
    assert.match(String(await third), /broke off/);
    assert.ok(wire.isDestroyed);
  });

  it('that answers before it has taken the whole request serves nobody else', async () => {
    const { kept, wire, say, ask } = await used();
    const second = ask(kept, { method: 'POST', body: Buffer.alloc(100_000) });
    await eventually(() => wire.written.length === 3);
    Object.assign(wire, { waitingWrites: 1, writableLength: 90_000 });
    say(wire, 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
    assert.equal(await second, 413);
    assert.ok(!kept.isOpen && wire.isDestroyed);
  });

  it('whose answer has something behind it serves nobody else', async () => {
    const { kept, wire, say, ask } = await used();
    const second = ask(kept);
    await eventually(() => wire.written.length === 2);
    say(wire, 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab');
    assert.equal(await second, 200);
    assert.ok(!kept.isOpen && wire.isDestroyed);
  });
});
