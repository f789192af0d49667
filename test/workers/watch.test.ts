import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Watch, type Watched } from '../../internal/workers/watch.js';
import { recordedLog } from '../store/recorded-log.js';

/** A worker that answers between two rounds, or does not. */
class Worker implements Watched {
  readonly pid = 7;
  serving = true;
  silentRounds = 0;
  answers = true;
  pings = 0;
  kills = 0;

  constructor(readonly number: number) {}

  ping(): void {
    this.pings++;
    if (this.answers) this.silentRounds = 0;
    else this.silentRounds++;
  }
  kill(): void {
    this.kills++;
  }
}

function watch(...workers: Worker[]) {
  const { log, lines } = recordedLog();
  const watch = new Watch(() => workers, log);
  const rounds = (count: number) => {
    for (let round = 0; round < count; round++) watch.round();
  };
  return { rounds, said: () => lines.map(({ msg, worker }) => `${worker} ${msg}`) };
}

const SILENT = 'worker does not answer';
const KILLED = 'worker has not answered for a minute: it is killed';

it('a worker that has not answered for a minute is killed, once, and no other', () => {
  const [hung, well] = [new Worker(1), new Worker(2)];
  const { rounds, said } = watch(hung, well);
  hung.answers = false;
  rounds(59);
  assert.equal(hung.kills, 0);
  assert.deepEqual(said(), [`1 ${SILENT}`]);
  rounds(10);
  assert.equal(hung.kills, 1);
  assert.deepEqual(said(), [`1 ${SILENT}`, `1 ${KILLED}`]);
  assert.equal(well.kills, 0);
});

it('one that answers in between begins anew', () => {
  const worker = new Worker(1);
  const { rounds } = watch(worker);
  for (let time = 0; time < 5; time++) {
    worker.answers = false;
    rounds(59);
    worker.answers = true;
    rounds(1);
  }
  assert.equal(worker.kills, 0);
});

it('one that does not serve clients yet is left alone', () => {
  const worker = new Worker(1);
  worker.serving = false;
  worker.answers = false;
  watch(worker).rounds(100);
  assert.equal(worker.pings + worker.kills, 0);
});
