import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { createRouteTable } from '../../../internal/config/routes/table.js';
import type { GatewayError } from '../../../internal/errors.js';
import { httpRouteTo } from '../../exchange/parts.js';
import { eventually } from '../../support/eventually.js';
import { makeLab, Peer, REQUEST } from '../lab.js';

describe('trailers of a request', () => {
  const { upstreams } = makeLab({ failureThreshold: 1 });
  after(() => upstreams.stop());

  /** @returns what the upstream hears of a request with those trailers, and how that ends. */
  async function upload(trailers: readonly string[]) {
    const heard: Buffer[] = [];
    let isGone = false;
    const peer = await Peer.start((socket) => {
      socket.on('close', () => {
        isGone = true;
      });
      socket.on('data', (chunk: Buffer) => {
        heard.push(chunk);
        if (
          Buffer.concat(heard).toString('latin1').endsWith('\r\n\r\n') &&
          heard.join('').includes('\r\n0\r\n')
        )
          socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      });
    });
    const route = httpRouteTo(`http://127.0.0.1:${peer.port}`);
    upstreams.apply(createRouteTable([route]));
    const body = new Readable({ read() {} });
    const ended = new Promise<number | GatewayError>((resolve) => {
      let answered = 0;
      const listener = {
        onReached: () => {},
        onHead: (status: number) => {
          answered = status;
        },
        onBytes: () => true,
        onEnd: () => resolve(answered),
        onFailed: resolve,
      };
      const request = {
        ...{ method: 'POST', pathAt: () => '/t', headers: [], host: undefined, identity: undefined },
        ...{ client: REQUEST.client, body, trailers: () => trailers },
      };
      upstreams.send(route, request, listener).start();
    });
    body.push('a');
    await eventually(() => heard.length > 0);
    body.push(null);
    const end = await ended;
    await eventually(() => isGone);
    const circuit = upstreams.snapshot().at(-1)?.circuit;
    await peer.close();
    return { heard: Buffer.concat(heard).toString('latin1'), end, circuit };
  }

  it('stand behind its last chunk', async () => {
    const { heard, end } = await upload(['A', 'b', 'C', '\xe9']);
    assert.match(heard, /\r\n\r\n1\r\na\r\n0\r\nA: b\r\nC: \xe9\r\n\r\n$/);
    assert.equal(end, 204);
  });

  for (const [what, ...trailers] of [
    ['a CR in a value', 'A', 'b\rX: y'],
    ['a LF in a value', 'A', 'b\nX: y'],
    ['a NUL in a value', 'A', '\0'],
    ['a whole request in a value', 'A', 'b\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a byte that is none', 'A', '\u010d'],
    ['a line in a name', 'A: b\r\nX', 'y'],
    ['a blank at the end of a name', 'A ', 'y'],
    ['no name', '', 'y'],
    ['a name alone', 'A', 'b', 'X\r\n\r\nGET /two'],
  ] as const)
    it(`with ${what} end it before it is whole, through no fault of the upstream`, async () => {
      const { heard, end, circuit } = await upload(trailers);
      assert.match(heard, /\r\n\r\n1\r\na\r\n$/);
      assert.equal(end instanceof Error && end.code, 'ERR_REQUEST_MALFORMED');
      assert.equal(circuit, 'closed');
    });
});
