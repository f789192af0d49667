import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Crew } from '../../internal/workers/crew.js';
import type { SupervisorDuties } from '../../internal/workers/duties.js';
import { recordedLog } from '../store/recorded-log.js';
import { eventually } from '../support/eventually.js';

const OTHER_END = fileURLToPath(new URL('./other-end.ts', import.meta.url));

describe('a crew', () => {
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
});
