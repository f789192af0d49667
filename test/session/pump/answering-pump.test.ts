import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CloseReasonKey } from '../../../internal/close-codes.js';
import type { RouteSchemas } from '../../../internal/config/route-schemas.js';
import { type ClientSocket, SendResult } from '../../../internal/session/client-socket.js';
import { AnsweringPump } from '../../../internal/session/pump/answering-pump.js';
import { Metrics } from '../../../internal/telemetry/metrics/metrics.js';
import type { UpstreamConnection } from '../../../internal/upstream/websocket/connection.js';
import { eventually } from '../../support/eventually.js';
import { OPCODE } from '../../support/protocols/frames.js';
import { Front, Inbox } from '../front.js';
import { CONFIG, ended, open, withUpstream } from '../parts.js';
import { down, up } from '../wire.js';

const RPC: RouteSchemas = {
  file: '/etc/rpc.yaml',
  unknown: 'refuse',
  endpoints: [],
  rpc: [{ method: 'ping', params: true }],
};

/** What may wait for a client beyond MAX_BUFFERED_BYTES. */
const ROOM_BYTES = 3_145_728;

/** A pump between two ends that do as they are told: `bad` is answered with 300 bytes, all else passes. */
function between(answer = 'x'.repeat(300)) {
  const client = {
    buffered: 0,
    /** Of the writes that wait, beside their bytes. */
    costs: 0,
    isRead: true,
    frames: {
      pause: () => {
        client.isRead = false;
      },
      resume: () => {
        client.isRead = true;
      },
    },
    send: (payload: Uint8Array): number => {
      client.buffered += payload.length;
      return SendResult.BUFFERED;
    },
    sendFragment: () => SendResult.SENT,
    bufferedBytes: (): number => client.buffered,
    waitingCost: (): number => client.buffered + client.costs,
  };
  const upstream = {
    blocked: false,
    get bufferedBytes(): number {
      return upstream.blocked ? 1 : 0;
    },
    send: () => {},
    pause: () => {},
    resume: () => {},
  };
  const closed: CloseReasonKey[] = [];
  const pump: AnsweringPump = new AnsweringPump(
    {
      close: (reason) => {
        closed.push(reason);
        pump.release();
      },
      hurry: () => {},
    },
    client as unknown as ClientSocket,
    upstream as unknown as UpstreamConnection,
    {
      config: { ...CONFIG, maxBufferedBytes: 1000 },
      metrics: new Metrics(10),
      protocol: 'raw',
      allowsText: true,
      budget: undefined,
      packets: undefined,
      nowMs: 0,
    },
    [
      (payload, _isBinary, tell) => {
        if (String(Buffer.from(payload)) !== 'bad') return false;
        tell(answer);
        return true;
      },
    ],
  );
  const say = (text: string, times = 1): void => {
    for (let count = 0; count < times; count++) pump.fromClient(Buffer.from(text), false);
  };
  return {
    client,
    upstream,
    closed,
    pump,
    say,
    clientTakes: (left: number) => {
      client.buffered = left;
      pump.clientDrained();
    },
    upstreamTakes: () => {
      upstream.blocked = false;
      pump.onUpstreamDrain();
    },
  };
}

describe('a client that does not take the answers to its calls', () => {
  it('is read no more, which costs next to no memory, and hears all of them once it listens', async (t) => {
    const front = await Front.start(t, { config: { maxBufferedBytes: 65_536 }, route: { schemas: RPC } });
    const { session, client } = await front.open();
    const waiting = () => session.pump?.bufferedBytes().toClient ?? 0;
    const count = 1500;
    client.write(Buffer.concat(Array<Buffer>(count).fill(up(OPCODE.text, `[${'1,'.repeat(99)}1]`))));
    await eventually(() => waiting() > 65_536);
    let largest = 0;
    for (let turn = 0; turn < 100; turn++) {
      await new Promise(setImmediate);
      largest = Math.max(largest, waiting());
    }
    assert.ok(largest <= 65_536 + ROOM_BYTES, `${largest} bytes waited`);
    const inbox = new Inbox(client);
    const refusal = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}';
    const answer = down(OPCODE.text, `[${Array(100).fill(refusal).join()}]`);
    await eventually(() => inbox.length >= count * answer.length, 60_000);
    assert.ok(inbox.bytes.equals(Buffer.concat(Array<Buffer>(count).fill(answer))));
    assert.equal(session.state, 'open');
    client.destroy();
    await front.bench.quiet();
  });

  it('is read again when it has taken half of what may wait', () => {
    const { client, closed, say, clientTakes } = between();
    say('bad', 3);
    assert.equal(client.isRead, true, 'at 900 of 1000 bytes');
    say('bad');
    assert.equal(client.isRead, false);
    clientTakes(501);
    assert.equal(client.isRead, false);
    clientTakes(500);
    assert.equal(client.isRead, true);
    client.costs = 201;
    say('bad');
    assert.equal(client.isRead, false, 'at 800 bytes in writes that cost 201 more');
    clientTakes(300);
    assert.equal(client.isRead, false);
    client.costs = 0;
    clientTakes(300);
    assert.equal(client.isRead, true);
    assert.deepEqual(closed, []);
  });

  it('and whose upstream is slow too is read again when both have taken theirs', () => {
    for (const first of ['client', 'upstream']) {
      const { client, upstream, say, clientTakes, upstreamTakes } = between();
      say('bad', 4);
      upstream.blocked = true;
      say('good');
      if (first === 'client') clientTakes(0);
      else upstreamTakes();
      assert.equal(client.isRead, false, `the ${first} has`);
      if (first === 'client') upstreamTakes();
      else clientTakes(0);
      assert.equal(client.isRead, true, `the ${first} has, and the other one`);
    }
  });

  it('is told so when they are too many for the middle of a message of its upstream', () => {
    const { pump, closed, say, client } = between();
    pump.onUpstreamFragment(Buffer.from('a'), false, 'first');
    say('bad', 4);
    assert.deepEqual([closed, client.buffered], [[], 0]);
    pump.onUpstreamFragment(Buffer.from('b'), false, 'last');
    assert.deepEqual([closed, client.buffered, client.isRead], [[], 1200, false]);
    for (const [answer, allowed] of [
      ['x'.repeat(300), 4],
      ['', 1000],
    ] as const) {
      const flood = between(answer);
      flood.pump.onUpstreamFragment(Buffer.from('a'), false, 'first');
      flood.say('bad', allowed);
      assert.deepEqual(flood.closed, []);
      flood.say('bad', 2);
      assert.deepEqual(flood.closed, ['rateLimited']);
    }
  });

  it('and cannot be made to wait is closed', async (t) => {
    // Nor is one that can be, where all that is still to be answered had been read before.
    const read = between('x'.repeat(300_000));
    read.say('bad', 10);
    assert.deepEqual([read.client.isRead, read.closed], [false, []]);
    read.say('bad', 2);
    assert.deepEqual(read.closed, ['rateLimited']);
    const parts = await withUpstream(t, { route: { upstreams: [], schemas: RPC } });
    const client = await open(parts);
    client.buffered = CONFIG.maxBufferedBytes + ROOM_BYTES;
    client.say('no call');
    assert.equal(client.session?.state, 'open');
    client.buffered++;
    client.say('no call');
    assert.equal(client.session?.state, 'closing');
    client.buffered = 0;
    client.session?.onClientDrain();
    assert.deepEqual(await ended(client), { code: 1008, reason: 'Rate limit exceeded' });
    await parts.quiet();
  });
});
