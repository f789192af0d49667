import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { CUT_A_TURN, type CutReason, type Exchanges } from '../../internal/exchange/exchanges.js';
import { eventually } from '../support/eventually.js';
import { door, httpRouteTo, serve } from './parts.js';

/** An upstream whose answers are begun, and ended by nobody but the test; `/t/silent` gets none. */
async function withAnswers(t: TestContext) {
  const answers: ServerResponse[] = [];
  const gone: string[] = [];
  const upstream = await serve(t, (request, response) => {
    const { url = '' } = request;
    request.on('data', () => {});
    response.on('close', () => gone.push(url));
    if (!url.includes('silent')) response.write('begun');
    answers.push(response);
  });
  const parts = await door(t, { routes: [httpRouteTo(upstream)] });
  const ask = (request: string) => {
    const socket = connect(parts.port, '127.0.0.1');
    const client = { heard: '', isClosed: false, socket };
    socket.setEncoding('latin1').on('data', (text: string) => {
      client.heard += text;
    });
    socket
      .on('error', () => {})
      .on('close', () => {
        client.isClosed = true;
      });
    socket.write(request);
    t.after(() => socket.destroy());
    return client;
  };
  const get = (path: string) => ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return { ...parts, answers, gone, ask, get };
}

/** So many others before them that end for the same reason. */
function crowd({ endings }: Exchanges, turns: number): void {
  for (let other = 0; other < turns * CUT_A_TURN; other++) endings.run(() => {});
}

function cutAll(exchanges: Exchanges, reason: CutReason): number {
  let cut = 0;
  for (const exchange of exchanges) if (exchange.cut(reason)) cut++;
  return cut;
}

describe('exchanges that are cut with a thousand others', () => {
  it('pass nothing any more, either way, and end in their turn', async (t) => {
    const { exchanges, answers, gone, ask, get } = await withAnswers(t);
    const head = 'POST /t/up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n';
    const clients = [get('/t/one'), get('/t/two'), ask(head)];
    await eventually(() => clients.every(({ heard }) => heard.includes('begun')));
    let others = 0;
    for (let other = 0; other < 5 * CUT_A_TURN; other++) exchanges.endings.run(() => others++);
    assert.equal(cutAll(exchanges, 'banned'), 3);
    assert.equal(cutAll(exchanges, 'revoked'), 0);
    assert.equal(others, CUT_A_TURN);
    for (const answer of answers) answer.write('late');
    clients[2]?.socket.write('4\r\nlate\r\n');
    await eventually(() => clients.every(({ isClosed }) => isClosed) && gone.length === 3);
    assert.equal(others, 5 * CUT_A_TURN);
    for (const { heard } of clients) assert.doesNotMatch(heard, /late|\r\n0\r\n/);
    assert.equal(exchanges.size, 0);
  });

  it('are told why where nothing was answered, whatever the upstream says meanwhile', async (t) => {
    const { exchanges, answers, get } = await withAnswers(t);
    const client = get('/t/silent');
    await eventually(() => answers.length === 1);
    crowd(exchanges, 20);
    assert.equal(cutAll(exchanges, 'banned'), 1);
    answers[0]?.end('late');
    await eventually(() => client.heard.includes('ERR_BANNED'));
    assert.match(client.heard, /^HTTP\/1\.1 403 /);
    assert.doesNotMatch(client.heard, /late/);
    await eventually(() => exchanges.size === 0);
  });

  it('are counted by their reason, though their client goes first', async (t) => {
    const { exchanges, answers, gone, get, log } = await withAnswers(t);
    const client = get('/t/silent');
    await eventually(() => answers.length === 1);
    crowd(exchanges, 2_000);
    cutAll(exchanges, 'revoked');
    client.socket.destroy();
    await eventually(() => exchanges.size === 0 && gone.length === 1);
    await eventually(() => log.lines.some((line) => line.includes('ERR_TOKEN_REVOKED')));
  });

  it('are all cut when a drain has come to its end', async (t) => {
    const { exchanges, answers, get } = await withAnswers(t);
    const clients = [get('/t/one'), get('/t/two')];
    await eventually(() => answers.length === 2);
    crowd(exchanges, 5);
    await exchanges.drain(0);
    assert.equal(exchanges.size, 0);
    await eventually(() => clients.every(({ isClosed }) => isClosed));
  });
});
