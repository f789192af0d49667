import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VARIABLES, type Variable } from '../../internal/config/environment/variables.js';

const UNIT = 'deploy/systemd/ws-gateway.service';
const text = readFileSync(UNIT, 'utf8');
/** Settings, those that are offered in comments too. */
const settings = [...text.matchAll(/^#?([A-Z]\w+)=(.*)$/gm)].map(([line, name, value]) => ({
  name: String(name),
  value: String(value),
  offered: line.startsWith('#'),
}));
const value = (wanted: string) => settings.find(({ name, offered }) => name === wanted && !offered)?.value;

for (const offered of [false, true]) {
  test(`systemd finds no fault in the unit${offered ? ' with all that it offers' : ''}`, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'unit-'));
    try {
      const file = join(directory, 'ws-gateway.service');
      const taken = offered ? text.replaceAll(/^#(?=[A-Z]\w+=)/gm, '') : text;
      // What is installed is looked at by the test of the Debian package.
      await writeFile(file, taken.replace('/usr/bin/ws-gateway', process.execPath));
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
        encoding: 'utf8',
      });
      assert.deepEqual({ status, output: stdout + stderr }, { status: 0, output: '' });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
}

test('systemd counts the service among the well confined', () => {
  const rated = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', UNIT], {
    encoding: 'utf8',
  });
  const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(rated)?.[1]);
  assert.ok(exposure <= 2, rated);
});

test('the service has time to drain, and is not kept from running JavaScript', () => {
  const drainSeconds =
    Number(VARIABLES.GRACEFUL_DRAIN_TIMEOUT_SECONDS.default) + Number(VARIABLES.SHUTDOWN_HARD_LIMIT.default);
  assert.ok(Number(value('TimeoutStopSec')) > drainSeconds + 5);
  assert.equal(value('KillSignal'), 'SIGTERM');
  assert.equal(value('MemoryDenyWriteExecute'), 'no');
  assert.match(String(value('ExecReload')), /-HUP \$MAINPID$/);
});

test('every variable and credential that the unit names is one', () => {
  const named = settings
    .filter(({ name }) => name === 'Environment')
    .map(({ value: each }) => each.split('=') as [string, string]);
  const variables = new Map(Object.entries<Variable<unknown>>(VARIABLES));
  for (const [name, from] of named) {
    if (name === 'NODE_ENV') continue;
    assert.ok(name.endsWith('_FILE') && variables.get(name.slice(0, -5))?.secret, name);
    const credential = from.replace('%d/', '');
    assert.ok(
      settings.some((each) => each.name === 'LoadCredential' && each.value.startsWith(`${credential}:`)),
      credential,
    );
  }
});
