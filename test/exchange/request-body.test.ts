import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { RequestBody } from '../../internal/exchange/request-body.js';
import { eventually } from '../support/eventually.js';
import { serve } from './parts.js';

const HEAD = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
const ONE = '1\r\na\r\n';

/** An upload that has begun: the client's end, and its body at ours. */
async function upload(t: TestContext) {
  const came = { bytes: 0 };
  let body: RequestBody | undefined;
  const url = await serve(t, (request) => {
    body = new RequestBody(request, {
      limitBytes: 0,
      onWanted: () => {},
      onBytes: (count) => {
        came.bytes += count;
      },
    });
  });
  const client: Socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => client.destroy());
  client.on('error', () => {});
  client.write(HEAD);
  const begun = await eventually(() => body ?? false);
  return { client, body: begun, came };
}

describe('the body of a request', () => {
  it('goes on in few pieces, however small its chunks are', async (t) => {
    const { client, body } = await upload(t);
    const pieces: Buffer[] = [];
    body.on('data', (piece: Buffer) => pieces.push(piece));
    client.write(`${ONE.repeat(10_000)}3\r\nend\r\n0\r\n\r\n`);
    await once(body, 'end');
    assert.equal(Buffer.concat(pieces).toString(), `${'a'.repeat(10_000)}end`);
    assert.ok(pieces.length < 1_000, `${pieces.length} pieces`);
  });

  it('that waits does so in few pieces, too, and goes on whole', async (t) => {
    const { client, body, came } = await upload(t);
    const pieces: Buffer[] = [];
    body.on('data', (piece: Buffer) => {
      pieces.push(piece);
      if (pieces.length === 1) body.pause();
    });
    client.write(ONE);
    await eventually(() => pieces.length === 1);
    for (let sent = 0; sent < 20_000; sent += 20) {
      client.write(ONE.repeat(20));
      await turn();
    }
    await eventually(() => came.bytes === 20_001);
    assert.equal(pieces.length, 1);
    body.resume();
    await eventually(() => Buffer.concat(pieces).length === 20_001);
    assert.ok(pieces.length < 100, `${pieces.length} pieces`);
    client.write(ONE);
    await eventually(() => Buffer.concat(pieces).length === 20_002);
  });

  it('is passed on as it comes, be it little, and by whomever it is read', async (t) => {
    const { client, body } = await upload(t);
    let heard = '';
    const read = (async () => {
      for await (const piece of body as AsyncIterable<Buffer>) {
        heard += String(piece);
        await turn();
      }
    })();
    for (const letter of 'abcdefgh') {
      client.write(`1\r\n${letter}\r\n`);
      await eventually(() => heard.endsWith(letter));
    }
    client.write(`${ONE.repeat(1_000)}0\r\n\r\n`);
    await read;
    assert.equal(heard, `abcdefgh${'a'.repeat(1_000)}`);
  });

  it('that breaks off ends with an error', async (t) => {
    const { client, body } = await upload(t);
    const ended = once(body, 'end').then(() => 'whole');
    body.resume();
    client.write(ONE.repeat(10));
    client.end();
    await assert.rejects(ended, { code: 'ERR_CLIENT_LOST' });
  });
});
