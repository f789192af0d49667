import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LogoutTokens } from '../../internal/auth/logout-token.js';
import { TrustedIssuers } from '../../internal/auth/trusted-issuers.js';
import { startIssuer } from '../support/servers/issuer.js';
import { bench, compact, refusedWith, verification } from './parts.js';

const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} };
const TYPED = { typ: 'logout+jwt' };
const seconds = (later = 0) => Math.floor(Date.now() / 1000) + later;

describe('a logout token', () => {
  async function parts(t: Parameters<typeof bench>[0], clientIds = ['gateway']) {
    const { issuer, keys } = await bench(t);
    const config = verification({ issuer: issuer.url, audiences: ['api'] });
    const trusted = new TrustedIssuers(config, () => keys);
    const tokens = new LogoutTokens({ clockSkewMs: 5000, clientIds }, trusted);
    const sign = (claims = {}, header = {}) =>
      issuer.sign(
        { aud: 'gateway', events: EVENTS, sid: 's', ...claims },
        { header: { ...TYPED, ...header } },
      );
    const refused = (token: string, name: string) =>
      assert.rejects(tokens.verify(token), refusedWith('ERR_LOGOUT_TOKEN', token), name);
    return { issuer, tokens, sign, refused };
  }

  it('names a session, a subject, or both', async (t) => {
    const { issuer, tokens, sign } = await parts(t);
    const exp = seconds(60);
    assert.deepEqual(await tokens.verify(sign({ exp, jti: 'j' })), {
      issuer: issuer.url,
      sid: 's',
      sub: 'alice',
      subjectOf: undefined,
      jti: 'j',
      expiresAtMs: exp * 1000 + 5000,
    });
    assert.equal((await tokens.verify(sign({ sub: undefined }))).sub, '');
    assert.equal((await tokens.verify(sign({ sid: undefined }))).sid, '');
    for (const typ of [undefined, 'JWT', 'application/logout+JWT']) await tokens.verify(sign({}, { typ }));
    await tokens.verify(sign({ aud: ['x', 'gateway'] }));
  });

  it('is refused for every step of section 2.6', async (t) => {
    const { issuer, sign, refused } = await parts(t);
    const stranger = await startIssuer();
    t.after(() => stranger.close());
    const claims = { iss: issuer.url, aud: 'gateway', events: EVENTS, sid: 's', iat: seconds(), jti: 'j' };
    await refused(compact({ alg: 'none', ...TYPED }, claims), 'alg none');
    await refused(`${sign().slice(0, -8)}AAAAAAAA`, 'signature');
    await refused(stranger.sign(claims, { header: TYPED }), 'key');
    await refused('a.b', 'no token');
    for (const typ of ['at+jwt', 'logout', '', 7]) await refused(sign({}, { typ }), `typ ${typ}`);
    await refused(sign({}, { crit: ['x'], x: 1 }), 'crit');
    await refused(sign({ iss: 'https://other.example' }), 'iss');
    await refused(sign({ iss: undefined }), 'no iss');
    for (const aud of ['api', 'gatewayx', undefined, []]) await refused(sign({ aud }), `aud ${aud}`);
    for (const iat of [undefined, 'now', seconds(60)]) await refused(sign({ iat }), `iat ${iat}`);
    for (const exp of [undefined, 'later', seconds(-60)]) await refused(sign({ exp }), `exp ${exp}`);
    await refused(sign({ sub: undefined, sid: undefined }), 'neither sub nor sid');
    await refused(sign({ sub: '', sid: '' }), 'empty sub and sid');
    await refused(sign({ sub: null }), 'sub that is no text beside a sid');
    await refused(sign({ sid: ['s'] }), 'sid that is no text beside a sub');
    for (const events of [undefined, {}, [], EVENTS_AS_TEXT, { [Object.keys(EVENTS)[0] ?? '']: true }])
      await refused(sign({ events }), `events ${JSON.stringify(events)}`);
    for (const nonce of ['n', '', null]) await refused(sign({ nonce }), `nonce ${nonce}`);
    for (const jti of [undefined, '', 7]) await refused(sign({ jti }), `jti ${jti}`);
  });

  it('names its issuer, whichever that is, where none is expected', async (t) => {
    const { issuer, keys } = await bench(t);
    const trusted = new TrustedIssuers(verification({}), () => keys);
    const tokens = new LogoutTokens({ clockSkewMs: 0, clientIds: ['gateway'] }, trusted);
    const sign = (claims: object) =>
      issuer.sign({ aud: 'gateway', events: EVENTS, sid: 's', ...claims }, { header: TYPED });
    assert.equal((await tokens.verify(sign({ iss: 'https://any' }))).issuer, 'https://any');
    const none = sign({ iss: undefined });
    await assert.rejects(tokens.verify(none), refusedWith('ERR_LOGOUT_TOKEN', none));
  });

  it("goes by the issuer's audiences where no client is named", async (t) => {
    const { tokens, sign, refused } = await parts(t, []);
    await tokens.verify(sign({ aud: 'api' }));
    await refused(sign(), 'aud');
  });
});

const EVENTS_AS_TEXT = JSON.stringify(EVENTS);
