import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../support/child-process.js';
import { eventually, within } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { GATEWAY_COMMAND } from '../../support/gateway/gateway.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Lines of the pages and the examples that call the command; the quick start has a test of its own. */
function documented(): readonly { readonly page: string; readonly line: string }[] {
  const pages = execFileSync('git', ['ls-files', 'README.md', 'docs/*.md', 'examples/**/*.md'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return pages
    .trim()
    .split('\n')
    .filter((page) => page !== 'docs/quick-start.md')
    .flatMap((page) => {
      const text = execFileSync('cat', [page], { cwd: ROOT, encoding: 'utf8' });
      const lines = [...text.matchAll(/^```\w*\n([\s\S]*?)^ *```$/gm)].flatMap(([, block = '']) =>
        block.split('\n'),
      );
      const spans = [...text.matchAll(/`(ws-gateway [^`]+)`/g)].map(([, span = '']) => span);
      return [...lines, ...spans]
        .map((line) =>
          line
            .trim()
            .replace(/ {3}#.*$/, '')
            .replaceAll(/ \[[^\]]*\]/g, ''),
        )
        .filter((line) => /^(?:echo .*\| |source <\(|\w+=\S+ )*ws-gateway(?: |$)/.test(line))
        .filter((line) => !line.startsWith('Usage:') && !/^\S+ +\(|[├└─]/.test(line))
        .map((line) => ({ page, line }));
    });
}

const LINES = documented();

/**
 * What is asked for would never end by itself, or is answered by nobody here: a usage
 * that is good fails otherwise.
 */
const SERVES = /^(?:\w+=\S+ )*ws-gateway(?: (?:run|dev|top)\b.*| [a-z]+)?$/;

describe('the commands in the documentation', () => {
  let folder: string;
  let dev: Child;
  let port: number;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'documented-'));
    await mkdir(join(folder, 'bin'));
    await symlink(join(ROOT, 'dist/cmd/main.js'), join(folder, 'bin/ws-gateway'));
    port = await freePort();
    const [command = '', ...args] = GATEWAY_COMMAND;
    dev = startChild(command, [...args, 'dev', '--port', String(port)], { env: { PATH: process.env.PATH } });
    await eventually(() => dev.stdout.includes('Ctrl-C ends it') || !dev.alive, 30_000);
    await writeFile(join(folder, 'token.txt'), /token +(\S+)/.exec(dev.stdout)?.[1] ?? '');
    await writeFile(join(folder, 'routes.yaml'), await readFile(join(ROOT, 'routes.yaml')));
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(join(folder, 'issuer-key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  });
  after(async () => {
    await dev.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Where the documentation's gateway is, here. */
  function here(line: string): string {
    return line
      .replaceAll(/wss:\/\/gateway\.example\.com|ws:\/\/localhost:8080/g, `ws://127.0.0.1:${port}`)
      .replaceAll('/ws/…', '/ws/echo')
      .replace(/\$\{fpath\[1\]\}/, folder)
      .replace(/^ws-gateway token --sub/, `ws-gateway token --dev http://127.0.0.1:${port} --sub`);
  }

  async function run(line: string) {
    const env = {
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      ROUTE_FILE: 'routes.yaml',
      JWKS_URL: `http://127.0.0.1:${port}/dev/jwks.json`,
    };
    const child = startChild('bash', ['-c', line], { cwd: folder, env, group: true });
    try {
      const { code } = await within(child.exited, `end of ${line}`, 60_000);
      return { code, stderr: child.stderr };
    } finally {
      child.kill('SIGKILL');
    }
  }

  it('are some', () => {
    assert.ok(LINES.length >= 12, JSON.stringify(LINES));
  });

  for (const { page, line } of LINES) {
    it(`${page}: ${line}`, async () => {
      // With the help asked for too, flags are still read and unknown ones refused.
      const serves = SERVES.test(line);
      const { code, stderr } = await run(serves ? `${here(line)} --help` : here(line));
      assert.doesNotMatch(stderr, /unknown (?:option|command)|Usage|takes no|must be|^\s+at /m);
      // What becomes of a client is another matter, and nobody here was turned away.
      if (line.includes('--session')) assert.match(stderr, /none of the last|no gateway at/);
      else if (/explain |doctor/.test(line)) assert.ok(code === 0 || code === 1, stderr);
      else assert.equal(code, 0, stderr);
    });
  }
});
