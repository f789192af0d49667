import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { freePort } from '../../support/free-port.js';
import { runCommand } from '../../support/gateway/command.js';
import { GATEWAY_COMMAND } from '../../support/gateway/gateway.js';

describe('the commands, told what makes no sense', () => {
  it('name it in one line, and end with 2', async () => {
    const secret = 'http://user:secret@127.0.0.1:1/';
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['token', '--sub', ''], '--sub is empty: leave it out, or give it a value'],
      [['token', '--claim', ''], '--claim is empty: leave it out, or give it a value'],
      [['token', '--claim', 'exp=1'], '--claim exp: --ttl says it'],
      [['token', '--json'], '--json goes with inspect only'],
      [['token', '--key', 'a', '--dev', 'b'], '--key beside --dev: give one of them'],
      [['connect', '--mqtt', '--mqtt-3', 'ws://h'], '--mqtt beside --mqtt-3: give one of them'],
      [['connect', '--mqtt', '--binary', 'ws://h'], '--binary goes without --mqtt only'],
      [['connect', 'ws://h/#f'], 'no handshake can be made of that: The URL contains a fragment identifier'],
      ...['token --dev', 'top --url', 'explain --session x --admin'].map((command) => {
        const args = command.split(' ');
        const flag = args.at(-1);
        return [
          [...args, secret],
          `${flag} "http://..." is no http:// or https:// URL without credentials`,
        ] as const;
      }),
    ];
    for (const [args, line] of cases)
      assert.deepEqual(await runCommand(args), { code: 2, stdout: '', stderr: `${line}\n` }, args.join(' '));
  });

  it('say of what no handshake can hold that it is at fault', async () => {
    for (const args of [
      ['--header', 'é: a'],
      ['--protocol', 'a b'],
      ['--mqtt', '--protocol', 'a b'],
      ['--token', '€'],
    ]) {
      const { code, stderr } = await runCommand(['connect', 'ws://127.0.0.1:1', ...args]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^no handshake can be made of that: .+\n$/);
    }
  });

  it('do not repeat an ADMIN_TOKEN that is none', async () => {
    const env = { ADMIN_TOKEN: 'secret\ntoken' };
    assert.deepEqual(await runCommand(['top', '--once'], { env }), {
      code: 2,
      stdout: '',
      stderr: 'ADMIN_TOKEN: must be printable ASCII without space\n',
    });
  });

  it('say that they are not connected, and not that a connection was lost', async () => {
    const url = `ws://127.0.0.1:${await freePort()}`;
    for (const flags of [[], ['--mqtt']]) {
      const { code, stderr } = await runCommand(['connect', url, ...flags]);
      assert.equal(code, 1);
      assert.match(stderr, /^not connected: connect ECONNREFUSED [^\n]+\n$/);
    }
  });

  it('print one line where standard output takes nothing', async () => {
    const [command = '', ...args] = GATEWAY_COMMAND;
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile('bash', ['-c', '"$@" help >/dev/full', 'bash', command, ...args], (error, _, text) =>
        resolve({ code: error?.code, stderr: text }),
      );
    });
    assert.equal(code, 1);
    assert.match(stderr, /^standard output: ENOSPC.*\n$/);
  });

  it('are told of one by one by help', async () => {
    const { stdout } = await runCommand(['help', 'top']);
    assert.deepEqual(stdout, (await runCommand(['top', '--help'])).stdout);
    const { code, stderr } = await runCommand(['help', 'tpo']);
    assert.equal(code, 2);
    assert.match(stderr, /did you mean top\?/);
  });
});
