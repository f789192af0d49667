import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Resolve } from '../../../internal/upstream/socket/admitted-lookup.js';
import type { SocketOwner, UpstreamSocket } from '../../../internal/upstream/socket/socket.js';
import { Sockets } from '../../../internal/upstream/socket/sockets.js';
import { type TcpHandle, tcpBinding } from '../../../internal/upstream/socket/tcp-binding.js';
import { TcpConnect } from '../../../internal/upstream/socket/tcp-connect.js';
import { TcpSocket } from '../../../internal/upstream/socket/tcp-socket.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { SOCKETS } from '../lab.js';

/** Notes what a socket tells. */
class Owner implements SocketOwner {
  readonly events: string[] = [];
  received = '';
  reads = true;
  error: NodeJS.ErrnoException | undefined;
  socket: UpstreamSocket | undefined;

  constructor(readonly sockets: Sockets) {}

  socketReady(): void {
    this.events.push('ready');
  }
  socketRead(length: number): boolean {
    this.received += this.sockets.readBuffer.bytes.toString('latin1', 0, length);
    return this.reads;
  }
  socketDrained(): void {
    this.events.push('drained');
  }
  socketEnded(): void {
    this.events.push('ended');
    this.socket?.destroy();
  }
  socketFailed(error: Error): void {
    this.error = error;
    this.events.push('failed');
    this.socket?.destroy();
  }
  socketClosed(): void {
    this.events.push('closed');
  }
  async is(event: string): Promise<void> {
    await eventually(() => this.events.includes(event));
  }
}

for (const [kind, make] of SOCKETS) {
  describe(`a socket to an upstream, on ${kind}`, () => {
    let server: Server;
    let port: number;
    let far: Socket[];
    const open: UpstreamSocket[] = [];

    beforeEach(async () => {
      far = [];
      server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        far.push(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      port = (server.address() as { port: number }).port;
    });
    afterEach(async () => {
      for (const socket of [...open.splice(0), ...far]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });

    function connect(host = '127.0.0.1', to = port): { owner: Owner; socket: UpstreamSocket } {
      const sockets = make();
      const owner = new Owner(sockets);
      const socket = sockets.open({ host, port: to, tls: undefined }, owner);
      owner.socket = socket;
      open.push(socket);
      return { owner, socket };
    }

    async function connected(host?: string): Promise<{ owner: Owner; socket: UpstreamSocket; peer: Socket }> {
      const { owner, socket } = connect(host);
      await owner.is('ready');
      await eventually(() => far.length === 1);
      return { owner, socket, peer: far[0]! };
    }

    it('tells nothing before it is connected, takes nothing to write, and is writable then', async () => {
      const { owner, socket } = connect();
      assert.deepEqual(owner.events, []);
      assert.equal(socket.writableLength, 0);
      await owner.is('ready');
      assert.equal(socket.writable, true);
    });

    it('moves bytes both ways and counts what it wrote', async () => {
      const { owner, socket, peer } = await connected();
      peer.on('data', (bytes) => peer.write(bytes));
      socket.write(Buffer.from('one '));
      socket.write(Buffer.from('two'));
      assert.equal(socket.bytesWritten, 7);
      await eventually(() => owner.received === 'one two');
    });

    it('reads nothing while it is paused, by itself or by what its owner answers', async () => {
      const { owner, socket, peer } = await connected();
      socket.pause();
      peer.write('a');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(owner.received, '');
      owner.reads = false;
      socket.resume();
      await eventually(() => owner.received === 'a');
      peer.write('b');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(owner.received, 'a');
      owner.reads = true;
      socket.resume();
      await eventually(() => owner.received === 'ab');
    });

    it('keeps what the peer does not take, in order, and tells when it is out', async () => {
      const { owner, socket, peer } = await connected();
      peer.pause();
      const piece = 100_000;
      let pieces = 0;
      while (socket.writableLength < 1_000_000) {
        socket.write(Buffer.alloc(piece, pieces++ % 256));
        if (pieces % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(socket.bytesWritten, pieces * piece);
      assert.ok(!owner.events.includes('drained') || socket.writableLength > 0);
      owner.events.length = 0;
      let at = 0;
      let inOrder = true;
      peer.resume().on('data', (bytes) => {
        for (const byte of bytes) inOrder &&= byte === Math.floor(at++ / piece) % 256;
      });
      await owner.is('drained');
      assert.equal(socket.writableLength, 0);
      await eventually(() => at === pieces * piece);
      assert.ok(inOrder);
      socket.write(Buffer.from('more'));
      await eventually(() => peer.bytesRead === pieces * piece + 4);
    });

    it('ends its side behind what waits, and goes on reading', async () => {
      const { owner, socket, peer } = await connected();
      let received = 0;
      let ended = false;
      peer.pause();
      peer.on('end', () => {
        ended = true;
        peer.write('still here');
      });
      for (let count = 0; count < 80; count++) socket.write(Buffer.alloc(100_000));
      socket.end();
      assert.equal(socket.writable, false);
      socket.write(Buffer.from('too late'));
      peer.resume().on('data', (bytes) => {
        received += bytes.length;
      });
      await eventually(() => ended);
      assert.equal(received, 8_000_000);
      await eventually(() => owner.received === 'still here');
    });

    it('tells when the peer ends and that the descriptor is free, once each', async () => {
      const { owner, peer } = await connected();
      peer.end('bye');
      await owner.is('closed');
      assert.equal(owner.received, 'bye');
      assert.deepEqual(owner.events, ['ready', 'ended', 'closed']);
    });

    it('tells of a reset with its code', async () => {
      const { owner, peer } = await connected();
      peer.resetAndDestroy();
      await owner.is('closed');
      assert.equal(owner.error?.code, 'ECONNRESET');
      assert.equal(owner.events.filter((event) => event === 'failed').length, 1);
    });

    it('tells once of a write that fails, and never from within it', async () => {
      const { owner, socket, peer } = await connected();
      socket.pause();
      peer.resetAndDestroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (let count = 0; count < 3; count++) {
        socket.write(Buffer.from('x'));
        assert.ok(!owner.events.includes('failed'));
      }
      await owner.is('closed');
      assert.match(owner.error?.code ?? '', /EPIPE|ECONNRESET/);
      assert.deepEqual(owner.events, ['ready', 'failed', 'closed']);
    });

    it('that the peer resets behind its last words hears them before the write that failed', async () => {
      const { owner, socket, peer } = await connected();
      peer.write('no more, please');
      peer.resetAndDestroy();
      for (let count = 0; count < 3; count++) socket.write(Buffer.from('more'));
      await owner.is('closed');
      assert.equal(owner.received, 'no more, please');
      assert.deepEqual(owner.events, ['ready', 'failed', 'closed']);
    });

    it('calls nobody but to say that the descriptor is free once it has been destroyed', async () => {
      const { owner, socket, peer } = await connected();
      peer.pause();
      for (let count = 0; count < 80; count++) socket.write(Buffer.alloc(100_000));
      peer.write('unheard');
      socket.destroy();
      socket.destroy();
      socket.write(Buffer.from('x'));
      socket.resume();
      assert.equal(socket.writable, false);
      await owner.is('closed');
      assert.deepEqual(owner.events, ['ready', 'closed']);
      assert.equal(owner.received, '');
    });

    it('says what was refused, by whom', async () => {
      const dead = await freePort();
      const { owner } = connect('127.0.0.1', dead);
      await owner.is('closed');
      assert.equal(owner.error?.code, 'ECONNREFUSED');
      assert.equal(owner.error?.message, `connect ECONNREFUSED 127.0.0.1:${dead}`);
    });

    it('says which name is not known', async () => {
      const { owner } = connect('no-such-host.invalid');
      await eventually(() => owner.events.includes('closed'), 20_000);
      assert.match(owner.error?.message ?? '', /no-such-host\.invalid/);
    });

    it('finds the way to a name', async () => {
      const { owner, socket, peer } = await connected('localhost');
      socket.write(Buffer.from('found'));
      let received = '';
      peer.on('data', (bytes) => {
        received += bytes.toString();
      });
      await eventually(() => received === 'found');
      assert.deepEqual(owner.events, ['ready']);
    });

    for (const [what, host] of [
      ['an address', '127.0.0.1'],
      ['a name', 'localhost'],
    ] as const) {
      it(`can be called off while it connects to ${what}`, async () => {
        const { owner, socket } = connect(host);
        socket.destroy();
        await owner.is('closed');
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.deepEqual(owner.events, ['closed']);
      });
    }
  });
}

describe('the way to an upstream', () => {
  it("is Node's own handle for TCP in this version of Node.js", () => {
    assert.ok(tcpBinding() !== null);
    const sockets = new Sockets();
    const socket = sockets.open({ host: '127.0.0.1', port: 1, tls: undefined }, new Owner(sockets));
    assert.ok(socket instanceof TcpSocket);
    socket.destroy();
  });
});

describe('connecting to a name of several addresses', () => {
  const attempt = async (addresses: readonly string[], port: number): Promise<string> => {
    const binding = tcpBinding();
    assert.ok(binding !== null);
    return await new Promise((resolve) => {
      const listener = {
        tcpConnected: (handle: TcpHandle) => {
          handle.close(() => {});
          resolve('connected');
        },
        tcpFailed: (error: Error) => resolve(error.message),
      };
      const resolver: Resolve = (host, callback) =>
        void setImmediate(() =>
          callback(
            host === 'several.example' ? null : new Error('wrong name'),
            addresses.map((address) => ({ address, family: 4 })),
          ),
        );
      new TcpConnect(binding, 'several.example', port, listener, resolver).begin();
    });
  };

  it('tries one after the other until one answers', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      assert.equal(await attempt(['127.0.0.2', '127.0.0.3', '127.0.0.1'], port), 'connected');
    } finally {
      server.close();
    }
  });

  it('says what the last one said when none does', async () => {
    const port = await freePort();
    assert.equal(await attempt(['127.0.0.2', '127.0.0.3'], port), `connect ECONNREFUSED 127.0.0.3:${port}`);
  });

  it('says so when there is none', async () => {
    assert.equal(await attempt([], 1), 'several.example has no address');
  });
});
