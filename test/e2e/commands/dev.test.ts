import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Child, startChild } from '../../support/child-process.js';
import { BrowserPage } from '../../support/clients/browser-page.js';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { runCommand } from '../../support/gateway/command.js';
import { GATEWAY_COMMAND } from '../../support/gateway/gateway.js';

/** The log of a client on the page. */
const lines = (list: string) =>
  `[...document.querySelectorAll('#${list} li')].map((line) => line.textContent)`;

function startDev(...flags: string[]): Child {
  const [command = '', ...args] = GATEWAY_COMMAND;
  return startChild(command, [...args, 'dev', ...flags], { env: { PATH: process.env.PATH } });
}

describe('ws-gateway dev', () => {
  let dev: Child;
  let authority: string;

  before(async () => {
    authority = `127.0.0.1:${await freePort()}`;
    dev = startDev('--port', authority.split(':')[1] ?? '', '--upstream', 'http://127.0.0.1:1/');
    await eventually(() => dev.stdout.includes('Ctrl-C ends it') || !dev.alive, 30_000);
  });
  after(() => dev.stop());

  it('prints a URL and a token that lets its bearer in', async () => {
    assert.equal(dev.stderr, '');
    assert.ok(dev.stdout.includes(`http://${authority}/dev`));
    const token = /token +(\S+)/.exec(dev.stdout)?.[1] ?? '';
    const { code, stdout } = await runCommand(
      ['connect', `ws://${authority}/ws/echo`, '--token', token, '--wait', '0.5s'],
      { input: 'hello\n' },
    );
    assert.deepEqual([code, stdout], [0, 'hello\n']);
  });

  it('signs tokens for anybody, as `token --dev` asks for them', async () => {
    const made = await runCommand([
      'token',
      '--dev',
      `http://${authority}`,
      '--sub',
      'bob',
      '--role',
      'clerk',
    ]);
    assert.equal(made.code, 0, made.stderr);
    const { code, stdout } = await runCommand(
      ['connect', `ws://${authority}/ws/rpc`, '--token', made.stdout.trim(), '--wait', '0.5s'],
      { input: '{"jsonrpc":"2.0","id":1,"method":"whoami"}\n' },
    );
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout).result, { id: 'bob', roles: ['clerk'] });
    assert.equal(
      (await http(`http://${authority}/dev/token`, { method: 'POST', body: 'nonsense' })).status,
      400,
    );
  });

  it('answers to names of this machine alone, whatever name a page has made to resolve to it', async () => {
    const port = authority.split(':')[1];
    const token = (headers: Readonly<Record<string, string>>) =>
      http(`http://${authority}/dev/token`, { method: 'POST', headers, body: '{"sub":"root"}' });
    for (const name of ['localhost', 'LOCALHOST', '127.0.0.1', '[::1]'])
      assert.equal((await token({ Host: `${name}:${port}` })).status, 200, name);
    const rebound = { Host: `evil.example:${port}`, Origin: `http://evil.example:${port}` };
    for (const headers of [rebound, { ...rebound, 'X-Forwarded-Host': authority }]) {
      const { status, body } = await token({ ...headers, 'Sec-Fetch-Site': 'same-origin' });
      assert.deepEqual([status, body.includes('eyJ')], [404, false]);
      for (const path of ['/app/', '/metrics', '/healthz', '/readyz', '/admin/sessions'])
        assert.equal((await http(`http://${authority}${path}`, { headers })).status, 404, path);
    }
    for (const path of ['/metrics', '/healthz', '/readyz', '/admin/sessions'])
      assert.equal((await http(`http://${authority}${path}`)).status, 200, path);
  });

  it('names in one line what of its options makes no sense', async () => {
    assert.deepEqual(await runCommand(['dev', '--upstream', 'nowhere']), {
      code: 2,
      stdout: '',
      stderr:
        '--upstream "nowhere" is no ws://, wss://, http:// or https:// URL without credentials and fragment\n',
    });
  });

  it('takes a port of the system’s choice for --port 0, and says which', async () => {
    const other = startDev('--port', '0');
    try {
      await eventually(() => other.stdout.includes('Ctrl-C ends it') || !other.alive, 30_000);
      const url = /page +(\S+)/.exec(other.stdout)?.[1] ?? assert.fail(other.stderr);
      assert.equal((await http(url)).status, 200);
    } finally {
      await other.stop();
    }
  });

  it('has a page with a WebSocket and an MQTT client that work by keyboard and by click', async () => {
    const page = await BrowserPage.open(`http://${authority}/dev`);
    try {
      await page.until(`document.getElementById('token').value.includes('.')`);
      await page.evaluate(`document.getElementById('raw-connect').click()`);
      await page.until(`document.querySelector('#raw-send button').disabled === false`);
      await page.evaluate(`document.getElementById('raw-message').focus()`);
      await page.press('Enter');
      await page.until(`${lines('raw-log')}.includes('< hello')`);
      await page.evaluate(`document.getElementById('mqtt-connect').click()`);
      await page.until(`${lines('mqtt-log')}.includes('subscribed to demo/#')`);
      await page.evaluate(`document.querySelector('#mqtt-send button').click()`);
      await page.until(`${lines('mqtt-log')}.includes('< demo/room: hello')`);
      await page.evaluate(`document.getElementById('token').value = 'a.b.c'`);
      await page.evaluate(`document.getElementById('raw-connect').click()`);
      await page.until(`document.getElementById('raw-connect').textContent === 'Connect'`);
      await page.evaluate(`document.getElementById('raw-connect').click()`);
      await page.until(`${lines('raw-log')}.includes('closed: 1008 "Malformed JWT"')`);
      assert.deepEqual(page.problems, []);
    } finally {
      await page.close();
    }
  });

  it('stays on this machine, and out of production, unless it is told otherwise', async () => {
    const abroad = await runCommand(['dev', '--host', '0.0.0.0']);
    assert.equal(abroad.code, 2);
    assert.match(abroad.stderr, /--public allows it/);
    const production = await runCommand(['dev'], { env: { NODE_ENV: 'production' } });
    assert.equal(production.code, 2);
    assert.match(production.stderr, /NODE_ENV is production/);
  });
});
