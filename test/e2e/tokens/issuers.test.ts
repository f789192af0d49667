import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { type Closing, Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const INVALID = { code: 1008, reason: 'JWT invalid or expired' };
const FORBIDDEN = { code: 1008, reason: 'Forbidden' };

describe('several issuers', () => {
  let staff: Issuer;
  let partners: Issuer;
  let echo: Upstream;
  let gateway: Gateway;
  let folder: string;
  let file: string;

  before(async () => {
    [staff, partners] = [await startIssuer(), await startIssuer({ algorithms: ['ES256'] })];
    echo = await startEcho();
    folder = await mkdtemp(join(tmpdir(), 'issuers-'));
    file = join(folder, 'issuers.yaml');
    await writeFile(
      file,
      `- {name: staff, issuer: "${staff.url}", audience: gateway}\n` +
        `- {name: partners, issuer: "${partners.url}", jwksUrl: "${partners.jwksUrl}", algorithms: [ES256], rolesClaims: [scp]}\n`,
    );
    gateway = await startGateway({
      env: {
        ISSUERS_FILE: file,
        JWT_EXPECTED_AZP: 'web,cli',
        BACKCHANNEL_LOGOUT: 'true',
        BACKCHANNEL_CLIENT_ID: 'gateway',
      },
      routes: [
        { prefix: '/any', upstream: echo.url },
        { prefix: '/staff', upstream: echo.url, issuers: ['staff'] },
        { prefix: '/orders', upstream: echo.url, audience: ['orders'] },
        { prefix: '/write', upstream: echo.url, requireScopes: ['read', 'write'] },
        { prefix: '/role', upstream: echo.url, requireRoles: ['buyer'] },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), staff.close(), partners.close()]);
    await rm(folder, { recursive: true });
  });
  afterEach(async () => {
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo] });
  });

  /** How the session ends; undefined: it was let in. */
  async function outcome(path: string, token: string): Promise<Closing | undefined> {
    const peer = await Peer.open(gateway.ws + path, { token });
    const first = await Promise.race([peer.ended(), echo.session().then(() => undefined)]);
    echo.reset();
    if (first === undefined) await peer.close();
    return first;
  }
  const ofStaff = (claims = {}) => staff.sign({ aud: ['gateway', 'x'], azp: 'web', ...claims });
  const ofPartners = (claims = {}) => partners.sign({ azp: 'cli', ...claims });

  it('are those of the start: at a SIGHUP the log says that their file has changed', async () => {
    const before = await readFile(file, 'utf8');
    const hints = () => gateway.logs.filter(({ msg }) => `${msg}`.includes('count from the next start on'));
    await writeFile(file, before.replace(/.*partners.*\n/, ''));
    gateway.child.kill('SIGHUP');
    await eventually(() => assert.deepEqual(hints()[0]?.restart, ['ISSUERS_FILE']));
    assert.equal(await outcome('/any', ofPartners()), undefined);
    await writeFile(file, '[]');
    gateway.child.kill('SIGHUP');
    await eventually(() => gateway.output.includes('settings not reloaded'));
    assert.equal(await outcome('/any', ofPartners()), undefined);
  });

  it('are believed each with keys and rules of its own', async () => {
    assert.equal(await outcome('/any', ofStaff()), undefined);
    assert.equal(await outcome('/any', ofPartners()), undefined);
    assert.deepEqual(await outcome('/any', ofStaff({ aud: 'other' })), INVALID);
    assert.deepEqual(await outcome('/any', ofStaff({ iss: partners.url })), INVALID, 'another name, own key');
    assert.deepEqual(await outcome('/any', ofPartners({ iss: staff.url, aud: 'gateway' })), INVALID);
    for (const iss of [undefined, 'https://nobody.example', '', 7, [staff.url], `${staff.url}/`, '__proto__'])
      assert.deepEqual(await outcome('/any', ofStaff({ iss })), INVALID, String(iss));
  });

  it('are narrowed by a route, for tokens that are cached too', async () => {
    const partner = ofPartners({ aud: 'orders' });
    assert.equal(await outcome('/any', partner), undefined);
    assert.deepEqual(await outcome('/staff', partner), INVALID);
    assert.equal(await outcome('/orders', partner), undefined);
    const token = ofStaff();
    assert.equal(await outcome('/staff', token), undefined);
    assert.deepEqual(await outcome('/orders', token), INVALID);
    assert.equal(await outcome('/orders', ofStaff({ aud: ['orders', 'gateway'] })), undefined);
    assert.deepEqual(await outcome('/orders', ofStaff({ aud: ['orders'] })), INVALID, 'in addition');
  });

  it('have roles where their own rules say, and scopes of which all must be held', async () => {
    assert.equal(await outcome('/role', ofPartners({ scp: 'seller buyer' })), undefined);
    assert.deepEqual(await outcome('/role', ofPartners({ roles: ['buyer'] })), FORBIDDEN);
    assert.equal(await outcome('/role', ofStaff({ roles: ['buyer'] })), undefined);
    assert.equal(await outcome('/write', ofStaff({ scope: 'openid write read' })), undefined);
    assert.deepEqual(await outcome('/write', ofStaff({ scope: 'openid write' })), FORBIDDEN);
    assert.deepEqual(await outcome('/write', ofStaff({})), FORBIDDEN);
  });

  it('issue only to the clients that are named', async () => {
    for (const azp of [undefined, 'mobile', '', 7, ['web']])
      assert.deepEqual(await outcome('/any', ofStaff({ azp })), INVALID, String(azp));
  });

  it('log out their own subjects and sessions, and nobody of another one', async () => {
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    for (const [both, named] of [
      [{ sub: 'ann', sid: 'one' }, { sid: 'one' }],
      [{ sub: 'bob', sid: 'two' }, { sub: 'bob' }],
    ]) {
      const stays = await Peer.open(`${gateway.ws}/any`, { token: ofPartners(both) });
      const goes = await Peer.open(`${gateway.ws}/any`, { token: ofStaff(both) });
      const { status } = await http(`${gateway.http}/oidc/backchannel-logout`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          logout_token: staff.sign(
            { aud: 'gateway', events, sub: undefined, ...named },
            { header: { typ: 'logout+jwt' } },
          ),
        }).toString(),
      });
      assert.equal(status, 200);
      assert.deepEqual(await goes.ended(), { code: 1008, reason: 'Token revoked' });
      stays.send('still in');
      assert.equal(await stays.text(), 'still in');
      await stays.close();
      echo.reset();
      assert.equal(await outcome('/any', ofPartners(both)), undefined);
    }
  });
});
