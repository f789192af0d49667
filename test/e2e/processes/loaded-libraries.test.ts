import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway/gateway.js';

/** Has each process note the addresses of the modules it imports, in a file of its own beside this. */
function noter(directory: string): string {
  const hooks = `
    import { appendFileSync } from 'node:fs';
    export async function resolve(specifier, context, next) {
      const found = await next(specifier, context);
      appendFileSync(${JSON.stringify(directory)} + '/' + process.pid, found.url + '\\n');
      return found;
    }`;
  const file = join(directory, 'noter.mjs');
  const url = `data:text/javascript,${encodeURIComponent(hooks)}`;
  writeFileSync(file, `import { register } from 'node:module';\nregister(${JSON.stringify(url)});\n`);
  return file;
}

/** Of packages, those that are linked to by name. */
function packagesOf(directory: string, pid: number): ReadonlySet<string> {
  const urls = readFileSync(join(directory, String(pid)), 'utf8');
  return new Set([...urls.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map(([, name]) => name ?? ''));
}

describe('a worker', () => {
  it('loads no library whose work the supervisor does, or nobody', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'loaded-'));
    t.after(() => rm(directory, { recursive: true }));
    const gateway = await startGateway({
      env: { WORKERS: '2', NODE_OPTIONS: `--import ${noter(directory)}` },
      routes: [{ prefix: '/', upstream: 'ws://127.0.0.1:9', auth: 'public' }],
    });
    t.after(() => gateway.stop());
    const pids = await eventually(() => {
      const started = gateway.logs.filter(({ msg }) => msg === 'worker started');
      return started.length === 2 && started.map(({ pid }) => Number(pid));
    });
    assert.ok(packagesOf(directory, gateway.pid).has('zod'), 'the supervisor reads the files');
    for (const pid of pids) {
      const loaded = packagesOf(directory, pid);
      assert.ok(loaded.has('prom-client'), 'it was noted');
      for (const name of [
        'zod',
        'yaml',
        'ajv',
        'send',
        'ioredis',
        'pg',
        'https-proxy-agent',
        '@opentelemetry/api',
      ])
        assert.ok(!loaded.has(name), name);
    }
  });
});
