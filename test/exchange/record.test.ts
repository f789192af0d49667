import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndedSession } from '../../internal/activity/session-log.js';
import { GatewayError } from '../../internal/errors.js';
import { ExchangeRecord } from '../../internal/exchange/record.js';
import { AccessLog } from '../../internal/telemetry/log/access-log.js';
import type { AccessChoice } from '../../internal/telemetry/log/log.js';
import { RecentRefusals } from '../../internal/telemetry/log/recent-refusals.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { Tracing } from '../../internal/telemetry/traces/tracing.js';
import { recordedLog } from '../store/recorded-log.js';
import { httpRouteTo } from './parts.js';

/** The record of an exchange on a route, and what is kept of it. */
function record(path = '/t/a', access: AccessChoice = 'all') {
  const recorded = recordedLog();
  const refusals = new RecentRefusals();
  const ended: EndedSession[] = [];
  const parts = {
    metrics: new Metrics(10),
    tracing: new Tracing(undefined, 'test', recorded.log),
    accessLog: new AccessLog(recorded.log, access),
    refusals,
    history: { ended: (session: EndedSession) => void ended.push(session) },
  };
  const made = new ExchangeRecord(parts, {
    ...{ route: httpRouteTo('http://127.0.0.1:1'), method: 'GET', path, rest: '/a', rawRest: '/a' },
    ...{ query: '', queryAsSent: 'token=secret', isQueryEmpty: false, headers: new Map() },
    client: {
      ...{
        ip: '203.0.113.7',
        peer: '203.0.113.7',
        proto: 'http',
        isProtoKnown: true,
        host: 'gw',
        requestId: 'r',
      },
      traceContext: undefined,
    },
  });
  const end = (seconds: number) => made.ended({ id: 'x', startedMs: performance.now() - seconds * 1_000 });
  return { made, end, ended, lines: recorded.lines, refused: () => refusals.list() };
}

describe('the record of an exchange', () => {
  it('leaves a line as far as lines of clients are wanted, and always one for a fault', () => {
    const said = (access: AccessChoice, how: (made: ExchangeRecord) => void) => {
      const { made, end, lines } = record('/t/a', access);
      how(made);
      end(0);
      return lines.map(({ level, msg, status }) => [level, msg, status]);
    };
    const answered = (status: number) => (made: ExchangeRecord) => void Object.assign(made, { status });
    const fine = answered(200);
    const missing = answered(404);
    const refused = (made: ExchangeRecord) =>
      made.failed(new GatewayError('ERR_FORBIDDEN', 'a role is missing'));
    const broken = (made: ExchangeRecord) => made.failed(new TypeError('a fault'));
    assert.deepEqual(
      [said('all', fine), said('all', refused)],
      [[[30, 'exchange', 200]], [[30, 'exchange', 403]]],
    );
    assert.deepEqual(
      [said('errors', fine), said('off', fine), said('off', missing), said('off', refused)],
      [[], [], [], []],
    );
    assert.deepEqual(said('errors', missing), [[30, 'exchange', 404]]);
    assert.deepEqual(said('errors', refused), [[30, 'exchange', 403]]);
    assert.deepEqual(said('off', broken), [[50, 'exchange failed', 500]]);
  });

  it('that is refused is kept among the last refusals, without its query', () => {
    const { made, end, refused } = record();
    made.sub = 'alice';
    made.failed(new GatewayError('ERR_FORBIDDEN', 'a role is missing'));
    end(0);
    const { atMs, ...rest } = refused()[0]!;
    assert.ok(Math.abs(Date.now() - atMs) < 10_000);
    assert.deepEqual(rest, {
      ...{ session: 'x', protocol: 'http', method: 'GET' },
      ...{ ip: '203.0.113.7', answer: 403, reason: 'forbidden', why: 'a role is missing' },
      ...{ path: '/t/a', route: '/t', sub: 'alice' },
    });
  });

  it('that reached an upstream, whose client left, or that asks for a file that is not there is no refusal', () => {
    const reached = record();
    reached.made.upstream = 'app:80';
    reached.made.failed(new GatewayError('ERR_UPSTREAM_TIMEOUT', 'nothing'));
    reached.end(0);
    assert.deepEqual(reached.refused(), []);
    for (const code of ['ERR_CLIENT_LOST', 'ERR_FILE_UNKNOWN'] as const) {
      const { made, end, refused } = record();
      made.failed(new GatewayError(code, code));
      end(0);
      assert.deepEqual(refused(), [], code);
      assert.equal(made.status, code === 'ERR_CLIENT_LOST' ? 0 : 404);
    }
  });

  it('of more than ten seconds is a row of the activity log', () => {
    const { made, end, ended } = record();
    Object.assign(made, { status: 200, sub: 'alice', bytesIn: 3, bytesOut: 5 });
    end(9.9);
    assert.equal(ended.length, 0);
    end(11);
    const { openedMs, closedMs, ...rest } = ended[0]!;
    assert.ok(Math.abs(closedMs - openedMs - 11_000) < 1_000);
    assert.deepEqual(rest, {
      ...{ id: 'x', sub: 'alice', protocol: 'http', route: '/t', reason: 'completed' },
      ...{ messagesIn: 1, bytesIn: 3, messagesOut: 1, bytesOut: 5 },
    });
  });

  it('says by its error code how a long one has ended', () => {
    const { made, end, ended } = record();
    made.status = 200;
    made.failed(new GatewayError('ERR_TOKEN_REVOKED', 'revoked'));
    end(60);
    assert.equal(ended[0]?.reason, 'token_revoked');
  });
});
