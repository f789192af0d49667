import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Crew } from '../../internal/workers/crew.js';
import type { SupervisorDuties } from '../../internal/workers/duties.js';
import { recordedLog } from '../store/recorded-log.js';
import { eventually } from '../support/eventually.js';

const OTHER_END = fileURLToPath(new URL('./other-end.ts', import.meta.url));

describe('a crew', () => {
  // Workers get the options of this process, which has no need of tsx where the tests are compiled.
  const options = [...process.execArgv];
  before(() => void process.execArgv.push('--import', 'tsx'));
  after(() => void process.execArgv.splice(0, Number.POSITIVE_INFINITY, ...options));

  it('goes on trying when the system refuses to fork a replacement', async (t) => {
    const { log, messages } = recordedLog();
    const said = (text: string) => messages().filter((message) => message === text).length;
    let replaced = 0;
    const crew = new Crew({
      entry: OTHER_END,
      log,
      dutiesFor: () => ({}) as SupervisorDuties,
      bringUp: () => Promise.resolve(),
      replaced: { inc: () => void replaced++ },
      onEnd: () => {},
    });
    t.after(() => {
      Reflect.deleteProperty(process.env, 'TOO_LARGE');
      return crew.dismiss(0);
    });
    await crew.start(1);
    // E2BIG: one variable of the environment must not be so long, which fork() throws at once.
    process.env.TOO_LARGE = 'x'.repeat(200_000);
    crew.kill();
    await eventually(() => said('worker could not be forked') >= 2);
    assert.equal(said('worker started'), 1);
    Reflect.deleteProperty(process.env, 'TOO_LARGE');
    await eventually(() => said('worker started') === 2);
    assert.equal(replaced, 1);
  });

  it('tells of a worker that ends while all drain, and how', async (t) => {
    const { log, lines } = recordedLog();
    const crew = new Crew({
      entry: OTHER_END,
      log,
      dutiesFor: () => ({}) as SupervisorDuties,
      bringUp: () => Promise.resolve(),
      replaced: { inc: () => {} },
      onEnd: () => {},
    });
    t.after(() => crew.kill());
    await crew.start(1);
    const [started] = lines;
    const gone = crew.dismiss(60_000);
    process.kill(Number(started?.pid), 'SIGKILL');
    await gone;
    const { msg, worker, pid, signal } = lines.at(-1) ?? {};
    assert.deepEqual(
      [msg, worker, pid, signal],
      ['worker ended before it had drained', 1, started?.pid, 'SIGKILL'],
    );
  });

  it('replaces a worker that hangs', async (t) => {
    const { log, lines } = recordedLog();
    const pidsOf = (text: string) => lines.filter(({ msg }) => msg === text).map(({ pid }) => Number(pid));
    const crew = new Crew({
      entry: OTHER_END,
      log,
      dutiesFor: () => ({}) as SupervisorDuties,
      // It has answered, so it will be there to answer again.
      bringUp: async (worker) => {
        await worker.link.ask('ping', []);
        worker.serving = true;
      },
      replaced: { inc: () => {} },
      onEnd: () => {},
      roundMs: 20,
    });
    t.after(() => crew.dismiss(0));
    await crew.start(1);
    const [hung] = pidsOf('worker started');
    assert.ok(hung);
    process.kill(hung, 'SIGSTOP');
    await eventually(() => pidsOf('worker started').length > 1);
    assert.deepEqual(pidsOf('worker has not answered for a minute: it is killed').slice(0, 1), [hung]);
    assert.notEqual(pidsOf('worker started')[1], hung);
  });
});
