import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Link } from '../../internal/workers/link.js';
import { within } from '../support/eventually.js';
import type { Echo } from './echo.js';

describe('a link between two processes', () => {
  let child: ChildProcess;
  let link: Link<Echo, Echo>;

  before(() => {
    child = fork(fileURLToPath(new URL('./other-end.ts', import.meta.url)), [], {
      serialization: 'advanced',
      execArgv: ['--import', 'tsx'],
    });
    link = new Link(child);
    link.offer({ echo: (value) => [value, value] });
  });
  after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });

  it('carries plain data of any shape, both ways', async () => {
    const data = {
      map: new Map([['a', 1]]),
      nothing: undefined,
      far: Number.POSITIVE_INFINITY,
      text: '\u0000é',
    };
    assert.deepEqual(await link.ask('echo', [data]), data);
    assert.deepEqual(await link.ask('bounce', [7]), [7, 7]);
  });

  it('begins what is asked in a row in that order', async () => {
    const asked = Array.from({ length: 100 }, (_, index) => link.ask('echo', [index]));
    assert.deepEqual(
      await Promise.all(asked),
      asked.map((_, index) => index),
    );
  });

  it('passes on what went wrong, by its text alone', async () => {
    await assert.rejects(link.ask('fail', ['no such luck']), { name: 'Error', message: 'no such luck' });
  });

  it('does not answer what is not offered', async () => {
    const silent = link as unknown as Link<object, { toString(): string }>;
    await assert.rejects(silent.ask('toString', []), { message: 'toString is not answered here' });
  });

  it('waits no longer than it was told to', async () => {
    await assert.rejects(link.ask('hang', [], 50), { message: 'no answer to hang within 50 ms' });
  });

  it('fails what cannot be sent', async () => {
    await assert.rejects(link.ask('echo', [() => 0]), /could not be cloned/);
    assert.equal(await link.ask('echo', [1]), 1);
  });

  it('carries what is asked along with something that cannot be sent', async () => {
    const asked = [link.ask('echo', [1]), link.ask('echo', [() => 0]), link.ask('echo', [2])];
    const settled = await Promise.allSettled(asked);
    assert.deepEqual(
      settled.map((each) => (each.status === 'fulfilled' ? each.value : 'failed')),
      [1, 'failed', 2],
    );
  });

  it('fails what was asked and what is asked when the other process ends', async () => {
    const hanging = link.ask('hang', []);
    const gone = { message: 'the other process is gone' };
    await Promise.all([
      assert.rejects(within(hanging, 'failure'), gone),
      assert.rejects(link.ask('exit', []), gone),
    ]);
    await assert.rejects(link.ask('echo', [1]), gone);
    assert.equal(link.connected, false);
  });
});

it('what is asked in one turn of the event loop crosses at once, in its order', async () => {
  const crossings: unknown[] = [];
  const end = Object.assign(new EventEmitter(), {
    connected: true,
    send: (messages: object) => crossings.push(messages) > 0,
  });
  const link = new Link<Echo, Echo>(end);
  for (const value of ['a', 'b', 'c']) link.ask('echo', [value]).catch(() => {});
  await nextTurn();
  link.ask('echo', ['d']).catch(() => {});
  await nextTurn();
  const values = (crossings as { args: string[] }[][]).map((messages) => messages.map(({ args }) => args[0]));
  assert.deepEqual(values, [['a', 'b', 'c'], ['d']]);
});
