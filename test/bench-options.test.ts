import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';

/** Runs a program as npm does, from its beginning to where it has read its flags. */
function run(file: string, ...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', file, ...args], (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

describe('benchmarks, soak and fuzzer', () => {
  it('say how they are used, for --help and beside what they do not know', async () => {
    const help = await run('bench/workers.ts', '--help');
    assert.deepEqual([help.code, help.stderr], [0, '']);
    assert.match(help.stdout, /^usage: npm run bench:workers -- \[--rounds N\] [^\n]+\n$/);
    for (const [args, fault] of [
      [['--rouds', '3'], "Unknown option '--rouds'"],
      [['--rounds'], "Option '--rounds <value>' argument missing"],
      [['--rounds', '0'], '--rounds "0" must be a whole number, 1 or more'],
      [['--connections', '1e3'], '--connections "1e3" must be a whole number, 2 or more'],
      [['all'], 'there is one word too many: "all"'],
    ] as const)
      assert.deepEqual(await run('bench/workers.ts', ...args), {
        code: 2,
        stdout: '',
        stderr: `${fault}\n${help.stdout}`,
      });
    const picture = await run('bench/picture.ts', '/nowhere');
    assert.deepEqual([picture.code, picture.stderr.split('\n').length], [2, 3], picture.stderr);
  });

  it('wait for no time that is longer than a timer can wait', async () => {
    const { code, stderr } = await run('bench/soak/main.ts', '--minutes', '40000');
    assert.deepEqual([code, stderr.split('\n')[0]], [2, '--minutes "40000" must be a number, 0.1 to 10080']);
  });

  it('read their flags in one way', async () => {
    for (const folder of ['bench', 'fuzz'])
      for (const name of await readdir(folder, { recursive: true })) {
        const file = join(folder, name);
        if (!file.endsWith('.ts') || file === 'bench/options.ts') continue;
        assert.doesNotMatch(await readFile(file, 'utf8'), /parseArgs/, file);
      }
  });
});
