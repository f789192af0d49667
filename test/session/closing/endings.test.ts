import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ENDED_A_TURN, type Sessions } from '../../../internal/session/sessions.js';
import { eventually } from '../../support/eventually.js';
import { OPCODE } from '../../support/protocols/frames.js';
import { startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { Front, Inbox } from '../front.js';
import { type Bench, bench, open, withUpstream } from '../parts.js';
import type { StandInClient } from '../stand-in-client.js';
import { codes, down, frames, up, write } from '../wire.js';

/** More than one turn of the event loop ends. */
const CROWD = 2 * ENDED_A_TURN + 50;

/** A crowd of others is to end first. */
function crowd({ endings }: Sessions, turns = 20): void {
  for (let other = 0; other < turns * ENDED_A_TURN; other++) endings.run(() => {});
}

function told(clients: readonly StandInClient[]): number {
  return clients.filter((client) => client.told !== undefined).length;
}

function opened(parts: Bench, token: string): Promise<StandInClient[]> {
  return Promise.all(Array.from({ length: CROWD }, () => open(parts, token)));
}

for (const [reason, end] of [
  ['Token revoked', (parts) => parts.revocations.revoke({ sub: 'ann', jti: '1' })],
  ['Banned', (parts) => parts.bans.ban('ann', '', Date.now() + 60_000)],
] satisfies [string, (parts: Bench) => Promise<unknown>][])
  test(`sessions that end by the hundred (${reason}) are told so turn by turn, and nothing of theirs passes meanwhile`, async (t) => {
    const parts = await withUpstream(t);
    const clients = await opened(parts, parts.issuer.sign({ sub: 'ann', jti: '1' }));
    const other = await open(parts, parts.issuer.sign({ sub: 'bob' }));
    const done = end(parts);
    assert.equal(told(clients), ENDED_A_TURN);
    for (const { session } of clients) assert.equal(session?.state, 'closing');
    for (const client of clients) if (client.told === undefined) client.say('late');
    const { sessions } = parts.upstream;
    for (const { socket } of sessions) socket.send('late');
    let turns = 1;
    for (; told(clients) < CROWD; turns++) await nextTurn();
    assert.equal(turns, 3);
    for (const client of clients) {
      assert.deepEqual(client.told, { code: 1008, reason });
      assert.deepEqual(client.texts, []);
    }
    await done;
    other.say('still here');
    await eventually(() => other.texts.includes('still here'));
    for (const { inbox } of sessions) assert.ok(!inbox.some(({ data }) => data.toString() === 'late'));
    other.leave(1000);
    await parts.quiet();
    const name = reason === 'Banned' ? 'banned' : 'token_revoked';
    assert.equal((await parts.scrape()).sum('ws_session_closed_total', { reason: name }), CROWD);
  });

test('sessions whose tokens end in the same second end turn by turn, too', async (t) => {
  const parts = await withUpstream(t);
  const clients = await opened(parts, parts.issuer.sign({}, { expiresInSeconds: 3600 }));
  const nowMs = Date.now();
  const { mock } = t.mock.method(Date, 'now', () => nowMs + 7_200_000);
  parts.pass(60_000);
  mock.restore();
  assert.equal(told(clients), ENDED_A_TURN);
  for (const { session } of clients) assert.equal(session?.state, 'closing');
  await nextTurn();
  assert.equal(told(clients), 2 * ENDED_A_TURN);
  await nextTurn();
  for (const client of clients) assert.deepEqual(client.told, { code: 1008, reason: 'Token expired' });
  await parts.quiet();
});

for (const renew of [false, true])
  test(`of a session that waits for its end nothing more is read, ${renew ? 'whole messages' : 'frames'} passing`, async (t) => {
    const front = await Front.start(t, { route: { renew } });
    const { session, client, upstream } = await front.open();
    const inboxes = [new Inbox(client), new Inbox(upstream)];
    await write(client, up(OPCODE.text, 'first'));
    await write(upstream, down(OPCODE.text, 'first'));
    for (const inbox of inboxes) await eventually(() => inbox.length > 0);
    crowd(front.bench.sessions);
    client.write(up(OPCODE.text, 'late'));
    upstream.write(down(OPCODE.text, 'late'));
    session.queueClose('tokenRevoked');
    session.queueClose('banned');
    for (const inbox of inboxes) await eventually(() => codes(inbox).length > 0);
    for (const inbox of inboxes)
      assert.deepEqual(
        frames(inbox).map(({ opcode }) => opcode),
        [OPCODE.text, OPCODE.close],
      );
    client.write(up(OPCODE.close));
    await front.bench.quiet();
    assert.equal((await front.bench.scrape()).sum('ws_session_closed_total', { reason: 'token_revoked' }), 1);
  });

test('nor when a slow peer takes what waited for it', async (t) => {
  const front = await Front.start(t);
  const { session, client, upstream } = await front.open();
  // As much as the kernel takes between the two, and more.
  const frame = up(OPCODE.binary, Buffer.alloc(65_536));
  for (let count = 0; count < 400; count++) client.write(frame);
  await eventually(() => session.pump !== undefined && session.pump.bufferedBytes().toUpstream > 0);
  crowd(front.bench.sessions, 200);
  session.queueClose('tokenRevoked');
  const waiting = session.pump?.bufferedBytes().toUpstream ?? 0;
  assert.ok(waiting > 0);
  const { bytesWritten } = session.pump?.upstream.socket ?? { bytesWritten: Number.NaN };
  const inbox = new Inbox(upstream);
  await eventually(() => session.pump === undefined || session.pump.bufferedBytes().toUpstream === 0);
  if (session.pump !== undefined) assert.equal(session.pump.upstream.socket.bytesWritten, bytesWritten);
  client.destroy();
  await eventually(() => inbox.closed);
  await front.bench.quiet();
});

test('a frame that is under way when the wait begins is whole before the close frame, where it may pass', async (t) => {
  const front = await Front.start(t);
  const { session, client, upstream } = await front.open();
  const inboxes = [new Inbox(client), new Inbox(upstream)] as const;
  const payload = Buffer.alloc(1000, 'x');
  const [fromClient, fromUpstream] = [up(OPCODE.binary, payload), down(OPCODE.binary, payload)];
  await write(client, fromClient.subarray(0, 100));
  await write(upstream, fromUpstream.subarray(0, 100));
  for (const inbox of inboxes) await eventually(() => inbox.length === 100);
  crowd(front.bench.sessions);
  session.queueClose('endpointRemoved');
  client.write(fromClient.subarray(100));
  upstream.write(fromUpstream.subarray(100));
  for (const inbox of inboxes) await eventually(() => inbox.length > 1000 && codes(inbox).length > 0);
  for (const inbox of inboxes) {
    assert.deepEqual(
      frames(inbox).map(({ opcode, payload: { length } }) => [opcode, length > 100 ? length : 0]),
      [
        [OPCODE.binary, 1000],
        [OPCODE.close, 0],
      ],
    );
    assert.deepEqual(codes(inbox), [1001]);
  }
  client.write(up(OPCODE.close));
  await front.bench.quiet();
});

test('a session that waits for its end is counted by its reason, whatever ends it sooner', async (t) => {
  const parts = await withUpstream(t);
  const clients = await Promise.all([open(parts), open(parts), open(parts)]);
  crowd(parts.sessions);
  const [leaves, isClosed, isDropped] = clients;
  for (const { session } of clients) session?.queueClose('tokenRevoked');
  leaves?.leave(1006);
  assert.equal(leaves?.session && parts.sessions.get(leaves.session.id), undefined);
  isClosed?.session?.close('shutdown');
  assert.deepEqual(isClosed?.told, { code: 1008, reason: 'Token revoked' });
  isDropped?.session?.terminate();
  await parts.quiet();
  assert.equal((await parts.scrape()).sum('ws_session_closed_total', { reason: 'token_revoked' }), 3);
});

test('a session that waits for its end on the way to its upstream gets there no more', async (t) => {
  const silent = await startRawUpstream(() => {});
  t.after(() => silent.close());
  const parts = await bench(t, { routes: [{ upstreams: [silent.url] }] });
  const client = parts.connect({ token: parts.issuer.sign() });
  await eventually(() => silent.heads.length === 1);
  crowd(parts.sessions, 200);
  client.session?.queueClose('tokenRevoked');
  await eventually(() => silent.openSockets() === 0);
  await eventually(() => client.told !== undefined);
  assert.deepEqual(client.told, { code: 1008, reason: 'Token revoked' });
  await parts.quiet();
});
