import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { RouteTls } from '../../../internal/config/config.js';
import { GatewayError } from '../../../internal/errors.js';
import { eventually } from '../../support/eventually.js';
import { encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { switching } from '../../support/upstreams/raw-upstream.js';
import { FarEnd, makeLab, Peer, REQUEST, Recorder, readHead, routeTo } from '../lab.js';

const OPENSSL = 'openssl';

describe('a wss upstream', () => {
  const folder = mkdtempSync(join(tmpdir(), 'upstream-tls-'));
  const file = (name: string): string => join(folder, name);
  const text = (name: string): string => readFileSync(file(name), 'utf8');
  const openssl = (...args: string[]): void =>
    void execFileSync(OPENSSL, args, { cwd: folder, stdio: 'pipe' });

  /** A key `name.key` and a certificate `name.pem` signed by the authority of this test. */
  function issue(name: string, subjectAltName: string, days = '2'): void {
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-addext',
      `subjectAltName=${subjectAltName}`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      days,
      '-copy_extensions',
      'copy',
      '-out',
      `${name}.pem`,
    );
  }

  before(() => {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=test authority',
      '-days',
      '2',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
    );
    issue('right', 'IP:127.0.0.1,DNS:up.example');
    issue('other', 'DNS:other.example');
    issue('expired', 'IP:127.0.0.1', '-1');
    issue('client', 'DNS:gateway');
  });
  after(() => rmSync(folder, { recursive: true }));

  const trusted = (more: Partial<RouteTls> = {}): RouteTls => ({
    ca: text('ca.pem'),
    cert: undefined,
    key: undefined,
    serverName: undefined,
    insecureSkipVerify: false,
    ...more,
  });

  /** Runs `use` with a TLS upstream that has the certificate `name` and answers rightly. */
  async function withUpstream(
    name: string,
    use: (url: string, farEnds: FarEnd[], peer: Peer) => Promise<void>,
    options: TlsOptions = {},
  ): Promise<void> {
    const farEnds: FarEnd[] = [];
    const server = createServer({ key: text(`${name}.key`), cert: text(`${name}.pem`), ...options });
    const peer = await Peer.start((socket) => {
      readHead(socket, (head, rest) => {
        socket.write(switching(head));
        farEnds.push(new FarEnd(socket, head, rest));
      });
    }, server);
    try {
      await use(`wss://127.0.0.1:${peer.port}/`, farEnds, peer);
    } finally {
      await peer.close();
    }
  }

  /** Dials must fail so, and the upstream must not have seen a request. */
  async function refuses(url: string, tls: RouteTls | undefined, why: RegExp): Promise<void> {
    await assert.rejects(makeLab().upstreams.dial(routeTo(url, { tls }), REQUEST), (error) => {
      return error instanceof GatewayError && error.code === 'ERR_DIAL_FAILED' && why.test(error.message);
    });
  }

  it('carries messages both ways, large ones too, and pauses', () =>
    withUpstream('right', async (url, farEnds) => {
      const { upstreams } = makeLab();
      const connection = await upstreams.dial(routeTo(url, { tls: trusted() }), REQUEST);
      await eventually(() => farEnds.length === 1);
      const far = farEnds[0]!;
      const large = Buffer.alloc(1_000_000, 'z');
      far.socket.write(Buffer.concat([encodeFrame(OPCODE.text, 'early'), encodeFrame(OPCODE.binary, large)]));
      await new Promise((resolve) => setTimeout(resolve, 30));
      let pauses = 0;
      class Pausing extends Recorder {
        override onUpstreamFragment(...args: Parameters<Recorder['onUpstreamFragment']>): void {
          super.onUpstreamFragment(...args);
          pauses++;
          connection.pause();
          setImmediate(() => connection.resume());
        }
      }
      const recorder = new Pausing();
      connection.start(recorder);
      assert.ok((await recorder.message(1)).payload.equals(large));
      assert.equal(recorder.messages[0], 'early');
      assert.ok(pauses > 2);
      for (let count = 0; count < 100; count++) connection.send(Buffer.alloc(count * 50, count), true);
      connection.send(large, false);
      await far.until(() => far.frames.length === 101, 'all frames');
      for (let count = 0; count < 100; count++)
        assert.ok(far.frames[count]!.payload.equals(Buffer.alloc(count * 50, count)));
      assert.ok(far.frames[100]!.payload.equals(large));
      await eventually(() => connection.bufferedBytes === 0);
      connection.close(1000, '');
      await far.until(() => far.frames.length === 102, 'close');
      connection.destroy();
    }));

  it('keeps the messages of several connections apart', () =>
    withUpstream('right', async (url, farEnds) => {
      const { upstreams } = makeLab();
      const route = routeTo(url, { tls: trusted() });
      const connections = [];
      for (let index = 0; index < 4; index++) {
        connections.push(await upstreams.dial(route, REQUEST));
        await eventually(() => farEnds.length === index + 1);
      }
      for (let round = 0; round < 300; round++) {
        for (const [index, connection] of connections.entries())
          connection.send(Buffer.from(`${index}:${round} ${'x'.repeat(round * 5)}`), false);
        if (round % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      for (const [index, far] of farEnds.entries()) {
        await far.until(() => far.frames.length === 300, 'all frames');
        assert.ok(
          far.frames.every(
            ({ payload }, round) => payload.toString() === `${index}:${round} ${'x'.repeat(round * 5)}`,
          ),
        );
      }
      for (const connection of connections) connection.destroy();
    }));

  it('is checked for its authority, its name and its dates', async () => {
    await withUpstream('right', async (url, farEnds) => {
      await refuses(url, undefined, /certificate/);
      assert.equal(farEnds.length, 0);
    });
    await withUpstream('other', async (url, farEnds) => {
      await refuses(url, trusted(), /altnames/);
      assert.equal(farEnds.length, 0);
    });
    await withUpstream('expired', async (url, farEnds) => {
      await refuses(url, trusted(), /expired/);
      assert.equal(farEnds.length, 0);
    });
  });

  it('may be known by another name, or not be checked at all', async () => {
    await withUpstream('other', async (url, farEnds) => {
      const { upstreams } = makeLab();
      (
        await upstreams.dial(routeTo(url, { tls: trusted({ serverName: 'other.example' }) }), REQUEST)
      ).destroy();
      await eventually(() => farEnds.length === 1);
      assert.equal((farEnds[0]!.socket as TLSSocket).servername, 'other.example');
      (
        await upstreams.dial(
          routeTo(url, { tls: trusted({ ca: undefined, insecureSkipVerify: true }) }),
          REQUEST,
        )
      ).destroy();
    });
  });

  it('may ask for our certificate', () =>
    withUpstream(
      'right',
      async (url) => {
        const { upstreams } = makeLab();
        const tls = trusted({ cert: text('client.pem'), key: text('client.key') });
        (await upstreams.dial(routeTo(url, { tls }), REQUEST)).destroy();
        await refuses(url, trusted(), /connection|handshake|alert|reset|EPIPE/i);
      },
      { ca: text('ca.pem'), requestCert: true, rejectUnauthorized: true },
    ));

  it('that speaks plain text or says nothing is a failed dial', async () => {
    const plain = await Peer.start(
      (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      createTcpServer(),
    );
    await refuses(`wss://127.0.0.1:${plain.port}/`, trusted(), /connection failed/);
    await plain.close();
    const silent = await Peer.start(() => {}, createTcpServer());
    const { upstreams } = makeLab({ dialTimeoutMs: 100 });
    await assert.rejects(
      upstreams.dial(routeTo(`wss://127.0.0.1:${silent.port}/`, { tls: trusted() }), REQUEST),
      /100 ms/,
    );
    for (const socket of silent.sockets) socket.resume();
    await eventually(() => silent.sockets.size === 0);
    await silent.close();
  });

  it('whose settings are of no use is a failed dial', async () => {
    await refuses('wss://127.0.0.1:1/', trusted({ cert: 'nonsense', key: 'nonsense' }), /TLS settings/);
  });

  it('is probed over TLS with the same checks', () =>
    withUpstream('right', async (url) => {
      for (const [tls, result] of [
        [trusted(), 'success'],
        [undefined, 'failure'],
      ] as const) {
        for (const health of [undefined, { path: '/', status: 404 }]) {
          const { upstreams, metrics } = makeLab({ healthcheckIntervalMs: 20 });
          if (health && result === 'success') continue;
          upstreams.apply({ routes: [routeTo(url, { tls, health })] });
          await eventually(async () =>
            new RegExp(`health_${result}_total [1-9]`).test(await metrics.scrape()),
          );
          upstreams.stop();
        }
      }
    }));
});
