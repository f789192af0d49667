import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { directory } from '../../config/files.js';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { runGateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** Times that every worker is likely to be asked. */
const ENOUGH = 6;

describe('the settings file', () => {
  let issuer: Issuer;
  let echo: Upstream;

  before(async () => {
    [issuer, echo] = await Promise.all([startIssuer(), startEcho()]);
  });
  after(() => Promise.all([issuer.close(), echo.close()]));

  for (const workers of ['1', '2'])
    it(`is followed by ${workers} worker(s): what can be is in force for live sessions, of the rest the log tells`, async (t) => {
      const file = join(directory(t), 'settings.yaml');
      const write = (lines: readonly string[]) => writeFile(file, `${lines.join('\n')}\n`);
      await write([`JWKS_URL: ${issuer.jwksUrl}`, 'RATE_LIMIT_PER_SECOND: 0', 'LOG_LEVEL: info']);
      const gateway = await startGateway({
        env: { CONFIG_FILE: file, WORKERS: workers, RATE_LIMIT_PER_SECOND: undefined, LOG_LEVEL: undefined },
        routes: [{ prefix: '/app', upstream: echo.url }],
      });
      t.after(() => gateway.stop());
      const peer = await Peer.open(`${gateway.ws}/app`, { token: issuer.sign() });
      for (let count = 0; count < 40; count++) peer.send('x');
      for (let count = 0; count < 40; count++) assert.equal(await peer.text(), 'x');

      await write([
        `JWKS_URL: ${issuer.jwksUrl}`,
        'RATE_LIMIT_PER_SECOND: 0.001',
        'RATE_LIMIT_BURST: 3',
        'LOG_LEVEL: debug',
        'MAX_CONNECTIONS: 500',
      ]);
      const lines = (msg: string) => gateway.logs.filter((line) => line.msg === msg);
      await eventually(() =>
        assert.deepEqual(
          lines('settings reloaded').map(({ changed }) => changed),
          [['RATE_LIMIT_PER_SECOND', 'RATE_LIMIT_BURST', 'LOG_LEVEL']],
        ),
      );
      assert.deepEqual(
        lines('settings have changed that count from the next start on').map(({ restart }) => restart),
        [['MAX_CONNECTIONS']],
      );
      for (let count = 0; count < ENOUGH; count++) {
        const limits = await http(`${gateway.http}/admin/ratelimits`);
        assert.equal(JSON.parse(limits.body).default.burst, 3);
        const log = await http(`${gateway.http}/admin/log`);
        assert.equal(JSON.parse(log.body).level, 'debug');
      }
      for (let count = 0; count < 4; count++) peer.send('y');
      assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });

      await write(['RATE_LIMIT_BURST: lots', 'RATE_LIMIT_PER_SECOND: 9']);
      await eventually(() => lines('settings not reloaded: the ones in effect stay').length === 1);
      const [{ problems } = {}] = lines('settings not reloaded: the ones in effect stay');
      assert.match(String(problems), /settings\.yaml:1: RATE_LIMIT_BURST: "lots" is not allowed/);
      const limits = await http(`${gateway.http}/admin/ratelimits`);
      assert.equal(JSON.parse(limits.body).default.burst, 3, 'a bad file changes nothing');
    });

  it('leaves alone what the admin API has set, where it says nothing new, in workers that come later too', async (t) => {
    const file = join(directory(t), 'settings.yaml');
    const write = (perSecond: number) =>
      writeFile(file, `JWKS_URL: ${issuer.jwksUrl}\nLOG_LEVEL: info\nRATE_LIMIT_PER_SECOND: ${perSecond}\n`);
    await write(8);
    const gateway = await startGateway({
      env: { CONFIG_FILE: file, WORKERS: '2', RATE_LIMIT_PER_SECOND: undefined, LOG_LEVEL: undefined },
      routes: [{ prefix: '/app', upstream: echo.url }],
    });
    t.after(() => gateway.stop());
    const lines = (msg: string) => gateway.logs.filter((line) => line.msg === msg);
    const url = `${gateway.http}/admin/log`;
    const wanted = '{"level":"debug","access":"errors"}\n';
    assert.equal((await http(url, { method: 'PUT', body: wanted })).body, wanted);
    await write(9);
    await eventually(() => lines('settings reloaded').length === 1);
    await eventually(() => lines('worker started').length === 2);
    process.kill(Number(lines('worker started')[0]?.pid), 'SIGKILL');
    await eventually(() => lines('worker started').length === 3, 30_000);
    for (let count = 0; count < ENOUGH; count++) assert.equal((await http(url)).body, wanted);
  });

  it('that is wrong keeps the gateway from starting', async (t) => {
    const file = join(directory(t), 'settings.yaml');
    await writeFile(file, 'LOG_LEVEL: loud\n');
    const ended = await runGateway({
      env: { CONFIG_FILE: file, JWKS_URL: issuer.jwksUrl, LOG_LEVEL: undefined },
    });
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /settings\.yaml:1: LOG_LEVEL: "loud" is not allowed/);
  });
});
