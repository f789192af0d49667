import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../..', import.meta.url));
const LIMIT_MS = 120_000;
const options = { timeout: LIMIT_MS };
const running = new Set<ChildProcess>();

after(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** The demo as `npm run demo` starts it, without npm and with nothing of colour. */
function demo(args: readonly string[], port: number) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'cmd/demo.ts', ...args], {
    cwd: FOLDER,
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const heard = { output: '', errors: '' };
  child.stdout.on('data', (text) => {
    heard.output += text;
  });
  child.stderr.on('data', (text) => {
    heard.errors += text;
  });
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  const says = async (text: string): Promise<void> => {
    while (!heard.output.includes(text)) {
      await Promise.race([
        once(child.stdout, 'data'),
        ended.then((code) => assert.fail(`exit ${code} before "${text}": ${heard.output}${heard.errors}`)),
      ]);
    }
  };
  return { child, heard, ended, says };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function gatewayPid(output: string): number {
  return Number(/process (\d+), ready/.exec(output)?.[1]);
}

test('demo --help says how it is used', async () => {
  const { heard, ended } = demo(['--help'], 0);
  assert.equal(await ended, 0);
  assert.match(heard.output, /usage: npm run demo -- \[--once\]/);
});

test('the demo plays every client as expected and exits 0', options, async () => {
  const { heard, ended } = demo(['--once'], 0);
  assert.equal(await ended, 0, heard.output + heard.errors);
  for (const line of [
    'the gateway saw protocol mqtt and took route /mqtt',
    'the gateway saw protocol raw and took route /rpc',
    'the gateway told the broker its roles: device,display',
    'the backend spoke first',
    'closed with 1008 "JWT invalid or expired"',
    'CONNACK 5, then closed with 1008 "JWT missing"',
    'closed with 1008 "Token revoked"',
    'closed with 1008 "Rate limit exceeded"',
    'HTTP 404',
    "curl -b cookies -H 'Content-Type: application/json' -d '{\"name\":7}'",
    'HTTP 201 {"name":"tea","owner":"alice"}',
    '"code":"ERR_TOKEN_REVOKED"',
    'Every client fared as expected.',
  ]) {
    assert.ok(heard.output.includes(line), `${line}\nis missing in\n${heard.output}`);
  }
  assert.equal(heard.errors, '');
  assert.ok(!heard.output.includes('\u001b['), 'no colours without a terminal');
  assert.equal(isAlive(gatewayPid(heard.output)), false);
});

test('a taken port is named and another one used; Ctrl-C ends everything', options, async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const bound = taken.address();
  assert.ok(bound !== null && typeof bound === 'object');
  const { child, heard, ended, says } = demo([], bound.port);
  try {
    await says('The gateway says');
    assert.ok(heard.output.includes(`port ${bound.port} is taken`), heard.output);
    assert.match(heard.output, /export TOKEN=eyJ/);
    const pid = gatewayPid(heard.output);
    assert.equal(isAlive(pid), true);
    child.kill('SIGINT');
    assert.equal(await ended, 0, heard.errors);
    assert.equal(isAlive(pid), false);
  } finally {
    taken.close();
  }
});

test('an unknown argument is one clear line', options, async () => {
  const { heard, ended } = demo(['--twice'], 0);
  assert.equal(await ended, 1);
  assert.equal(heard.errors, 'ws-gateway demo: unknown argument --twice: there is only --once\n');
});
