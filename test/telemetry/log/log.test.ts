import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { forLog } from '../../../internal/telemetry/log/log.js';
import { prettyLine } from '../../../internal/telemetry/log/pretty-lines.js';
import { Timestamps } from '../../../internal/telemetry/log/timestamps.js';
import { directory } from '../../config/files.js';
import { startChild } from '../../support/child-process.js';
import { eventually, within } from '../../support/eventually.js';

const LOG = fileURLToPath(new URL('../../../internal/telemetry/log/log.ts', import.meta.url));

/** Of a process that logs. */
function argumentsFor(
  script: string,
  logFormat: 'json' | 'pretty' = 'json',
  ingressHost?: string,
): readonly string[] {
  const options = JSON.stringify({ logLevel: 'info', logFormat, ingressHost });
  const code = `import(${JSON.stringify(LOG)}).then(({ createLog }) => { const log = createLog(${options}); ${script} });`;
  return ['--import', 'tsx', '--eval', code];
}

/** Logs so many lines of a kilobyte, a thousand in a turn, and says when that is done. */
const sayMany = (total: number) => `
  const say = (from) => {
    for (let n = from; n < from + 1000; n++) log.info({ n }, 'x'.repeat(1000));
    if (from + 1000 < ${total}) setImmediate(say, from + 1000); else process.stderr.write('done');
  };
  say(0);
  setInterval(() => {}, 1000);`;

/** The numbers of the lines that are there, in their order; those left out make up the rest. */
function numbersIn(text: string, total: number): readonly number[] {
  const lines = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { n?: number; lines?: number });
  const numbers = lines.flatMap(({ n = [] }) => n);
  const lost = lines.reduce((sum, { lines = 0 }) => sum + lines, 0);
  assert.ok(lost > 0);
  assert.equal(numbers.length + lost, total, 'each is written or counted');
  assert.ok(numbers.every((n, at) => at === 0 || n > (numbers[at - 1] ?? n)));
  return numbers;
}

/** What a process of its own writes to standard output, where the log goes. */
async function written(
  script: string,
  logFormat: 'json' | 'pretty' = 'json',
  ingressHost?: string,
): Promise<string> {
  const child = startChild(process.execPath, argumentsFor(script, logFormat, ingressHost));
  const { code: status } = await within(child.exited, 'end of the process');
  assert.equal(status, 0, child.stderr);
  return child.stdout;
}

describe('the log', () => {
  it('is one JSON object a line: time, level in words, message and fields', async () => {
    const text = await written(
      "log.info({ session: 's', n: 1 }, 'hello'); log.debug('not shown'); log.error('bad');",
    );
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ time: _, ...line }) => line),
      [
        { level: 'info', session: 's', n: 1, msg: 'hello' },
        { level: 'error', msg: 'bad' },
      ],
    );
    for (const { time } of lines) assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('says on every line which host it is about, if it has been told', async () => {
    const text = await written("log.info('hello')", 'json', 'gw.example.com');
    const { time: _, ...line } = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(line, { level: 'info', ingressHost: 'gw.example.com', msg: 'hello' });
  });

  it('cannot be forged by what a peer says', async () => {
    const text = await written(
      String.raw`log.info({ sub: 'x\n{"level":"info","msg":"forged"}\u001b[31m\u2028' }, 'one');`,
    );
    assert.equal(text.trim().split('\n').length, 1);
    assert.ok(!text.includes('\u001b'));
  });

  it('drops secrets that come by their names', async () => {
    const text = await written(
      "log.info({ token: 'hidden1', password: 'hidden2', authorization: 'hidden3', cookie: 'hidden4', a: { token: 'hidden5', password: 'hidden6' } }, 'x');",
    );
    assert.doesNotMatch(text, /hidden/);
  });

  it('drops them from errors, and from what a child logger puts on each line', async () => {
    const text = await written(
      "const err = Object.assign(new Error('bad'), { token: 'hidden1', code: 'E_KEPT' }); log.error({ err, sub: 'kept1' }, 'x'); log.error({ cause: err }, 'x'); log.child({ token: 'hidden2', worker: 'kept2' }).error('y');",
    );
    assert.doesNotMatch(text, /hidden/);
    for (const kept of ['E_KEPT', 'kept1', 'kept2', '"stack":']) assert.ok(text.includes(kept), kept);
  });

  it('holds every line in order, however many there are when the process exits', async () => {
    const text = await written(
      "for (let n = 0; n < 3000; n++) log.info({ n }, 'x'.repeat(n % 90)); setTimeout(() => { for (let n = 3000; n < 5000; n++) log.info({ n }); process.exit(0); }, 20);",
    );
    const numbers = text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { n: number }).n);
    assert.deepEqual(
      numbers,
      Array.from({ length: 5000 }, (_, n) => n),
    );
  });

  it('says a line soon, behind many others too, and a warning at once, while the process goes on', async () => {
    const script =
      "for (let n = 0; n < 3000; n++) log.info({ n }, 'before'); log.info('soon'); setTimeout(() => log.warn('urgent'), 1000); setInterval(() => {}, 1000);";
    const child = startChild(process.execPath, argumentsFor(script));
    await eventually(() => assert.match(child.stdout, /"soon"/));
    assert.doesNotMatch(child.stdout, /"urgent"/);
    await eventually(() => assert.match(child.stdout, /"urgent"/));
    await child.stop('SIGKILL');
  });

  it('of which nobody reads a line takes a bounded place, and says how many lines were left out', async (t) => {
    const total = 60_000;
    const child = spawn(process.execPath, argumentsFor(sayMany(total)), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const [said] = await within(once(child.stderr, 'data'), 'end of the lines', 60_000);
    assert.equal(String(said), 'done');
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    await eventually(() => numbersIn(text, total), 60_000);
    assert.ok(text.length < 18 * 2 ** 20, `${text.length} bytes waited`);
  });

  it('ends nothing when its disk is full, and goes on when there is room again', async (t) => {
    const total = 30_000;
    const limit = 20 * 2 ** 20;
    const file = join(directory(t), 'log');
    const output = openSync(file, 'a');
    truncateSync(file, limit);
    const logging = [process.execPath, ...argumentsFor(sayMany(total))];
    const child = startChild('prlimit', [`--fsize=${limit}`, ...logging], {
      stdio: ['ignore', output, 'pipe'],
    });
    closeSync(output);
    t.after(() => child.stop('SIGKILL'));
    await eventually(() => assert.equal(child.stderr, 'done'), 60_000);
    truncateSync(file, 0);
    await eventually(() => numbersIn(readFileSync(file, 'utf8'), total), 60_000);
  });

  it('holds up no process that ends while its disk is full', async () => {
    const output = openSync('/dev/full', 'a');
    for (const script of ["log.info('x')", "log.error('x'); setTimeout(() => process.exit(), 100)"]) {
      const child = startChild(process.execPath, argumentsFor(script), { stdio: ['ignore', output, 'pipe'] });
      const { code } = await within(child.exited, 'end of the process');
      assert.deepEqual([code, child.stderr], [0, '']);
    }
    closeSync(output);
  });

  it('can be made for people', async () => {
    const text = await written(
      "log.info({ route: '/x', n: 1 }, 'hello'); log.error({ err: new Error('bad') }, 'x');",
      'pretty',
    );
    const [first, second, ...rest] = text.split('\n');
    assert.match(first ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO {2}hello route=\/x n=1$/);
    assert.match(second ?? '', / ERROR x err="Error: bad" at=.+$/);
    assert.deepEqual(rest, ['']);
  });

  it('changes its level while the process runs, its children with it', async () => {
    const text = await written(
      "const child = log.child({ issuer: 'a' }); log.level = 'debug'; log.debug('one'); child.debug('two'); log.level = 'error'; log.warn('no'); child.warn('no');",
    );
    assert.deepEqual(
      [...text.matchAll(/"msg":"(\w+)"/g)].map(([, msg]) => msg),
      ['one', 'two'],
    );
  });
});

describe('a line for people', () => {
  const line = (fields: object) =>
    prettyLine(JSON.stringify({ level: 'warn', time: '2026-01-05T09:30:00.125Z', ...fields }), false);

  it('stays one line and without colours of its own, whatever a peer says', () => {
    const text = line({ msg: 'a\u001b[31m', sub: 'x\n2026 INFO  forged\u009b1m\u202e', route: 'a b=c' });
    assert.equal(text.split('\n').length, 2);
    assert.match(text.slice(0, -1), /^[^\p{C}\u2028\u2029]+$/u);
    assert.ok(text.includes('route="a b=c"'));
  });

  it('is coloured where that is wanted, each level differently', () => {
    const colours = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => {
      const json = JSON.stringify({ level, time: '2026-01-05T09:30:00.125Z', msg: 'x', a: 1 });
      return /(\S+)[A-Z]{4,5} ?\S*/.exec(prettyLine(json, true))?.[1];
    });
    assert.equal(new Set(colours).size, 6);
  });
});

it('a peer\u2019s text takes a bounded place in a line', () => {
  assert.equal(forLog('x'.repeat(256)), 'x'.repeat(256));
  assert.equal(forLog('x'.repeat(100_000)), `${'x'.repeat(256)}\u2026`);
  assert.equal(forLog(''), '');
});

it('times are those of a Date, to the millisecond', () => {
  const timestamps = new Timestamps();
  for (const nowMs of [
    0, 7, 999, 1000, 1_751_328_000_042, 1_751_328_000_999, 1_751_328_001_000, 1_751_327_999_500,
  ])
    assert.equal(timestamps.at(nowMs), new Date(nowMs).toISOString());
});
