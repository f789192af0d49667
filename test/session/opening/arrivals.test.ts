import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Arrivals, type Arriving } from '../../../internal/session/opening/arrivals.js';
import { recordTurnedAway } from '../../../internal/session/record.js';
import { AccessLog } from '../../../internal/telemetry/log/access-log.js';
import { RecentRefusals } from '../../../internal/telemetry/log/recent-refusals.js';
import { Metrics } from '../../../internal/telemetry/metrics/metrics.js';
import { StandInSession } from '../../admin/parts.js';
import { recordedLog } from '../../store/recorded-log.js';
import { eventually } from '../../support/eventually.js';
import { MetricsText } from '../../support/gateway/metrics-text.js';

class Client implements Arriving {
  outcome: 'admitted' | number | undefined;
  admit(): void {
    this.outcome = 'admitted';
  }
  turnAway(retryAfterSeconds: number): void {
    this.outcome = retryAfterSeconds;
  }
}

function crowd(perSecond: number) {
  const clock = { nowMs: 0 };
  let draw = 0;
  const arrivals = new Arrivals({ perSecond, now: () => clock.nowMs, random: () => (draw++ % 10) / 10 });
  const come = (isKnown = false): Client => {
    const client = new Client();
    if (arrivals.enter(client, () => isKnown)) client.admit();
    return client;
  };
  const pass = (ms: number): void => {
    for (const endMs = clock.nowMs + ms; clock.nowMs < endMs; ) {
      clock.nowMs += 50;
      arrivals.step();
    }
  };
  return { arrivals, come, pass };
}

it('a second’s worth comes in at once, so many more a second, in the order they came', () => {
  const { come, pass, arrivals } = crowd(10);
  const clients = Array.from({ length: 40 }, () => come());
  const admitted = () => clients.filter(({ outcome }) => outcome === 'admitted').length;
  assert.equal(admitted(), 10);
  pass(1000);
  assert.equal(admitted(), 20);
  assert.deepEqual(
    clients.map(({ outcome }) => outcome === 'admitted'),
    clients.map((_, index) => index < 20),
  );
  pass(2000);
  assert.equal(admitted(), 40);
  assert.equal(arrivals.waiting, 0);
});

it('those whose token is known come first', () => {
  const { come, pass } = crowd(1);
  come();
  const [stranger, known] = [come(), come(true)];
  pass(1000);
  assert.deepEqual([stranger.outcome, known.outcome], [undefined, 'admitted']);
  pass(1000);
  assert.equal(stranger.outcome, 'admitted');
});

it('whoever has waited 5 s is asked to come back between 2 and 10 s later, not all at once', async () => {
  const { come, pass, arrivals } = crowd(1);
  const clients = Array.from({ length: 30 }, () => come());
  pass(5050);
  const answers = () =>
    clients.map(({ outcome }) => outcome).filter((outcome) => typeof outcome === 'number');
  // A few in each turn of the event loop: the sessions that run go on in between.
  assert.ok(answers().length < 10);
  await eventually(() => answers().length === 30 - 6);
  const turnedAway = answers();
  assert.ok(turnedAway.every((seconds) => seconds >= 2 && seconds <= 10));
  assert.ok(new Set(turnedAway).size > 3);
  assert.equal(arrivals.waiting, 0);
});

it('whoever is gone has no turn, and without a limit nobody waits', () => {
  const { come, pass, arrivals } = crowd(1);
  come();
  const gone = come();
  const next = come();
  arrivals.leave(gone);
  pass(1000);
  assert.deepEqual([gone.outcome, next.outcome], [undefined, 'admitted']);
  const open = crowd(0);
  assert.ok(Array.from({ length: 1000 }, () => open.come()).every(({ outcome }) => outcome === 'admitted'));
});

it('a crowd that is turned away does not flood the log, is counted whole, and its last ones are remembered', async () => {
  const { arrivals } = crowd(1);
  const { log, lines } = recordedLog();
  const refusals = new RecentRefusals();
  const parts = { metrics: new Metrics(10), accessLog: new AccessLog(log, 'all'), arrivals, refusals };
  for (let index = 0; index < 2_000; index++)
    recordTurnedAway(parts, new StandInSession(undefined), { matches: [], path: `/${index}` });
  const written = lines.length;
  assert.ok(written >= 50 && written < 1_500, `${written} lines`);
  const { text } = new MetricsText(await parts.metrics.scrape());
  assert.match(text, /^ws_refused_total\{[^}]*status="503"[^}]*\} 2000$/m);
  const [last] = refusals.list();
  assert.deepEqual(
    [refusals.list().length, last?.answer, last?.why, last?.path],
    [50, 503, 'MAX_HANDSHAKES_PER_SECOND', '/1999'],
  );
});

it('steps of openings for which hundreds have given their part at once are taken a few in each turn of the event loop', async () => {
  const { arrivals } = crowd(0);
  let taken = 0;
  for (let step = 0; step < 100; step++) void Promise.resolve(arrivals.turn()).then(() => taken++);
  await nextTurn();
  assert.ok(taken > 0 && taken <= 20, `${taken}`);
  await eventually(() => taken === 100);
});
