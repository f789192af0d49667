/**
 * Takes docs/admin-page.png: the page at /admin/ui of a gateway with some clients, in Chromium. Needs the
 * Debian package chromium, and a built gateway.
 */
import { fileURLToPath } from 'node:url';
import { readOptions } from '../bench/options.js';
import { BrowserPage } from '../test/support/clients/browser-page.js';
import { http } from '../test/support/clients/http.js';
import { Peer } from '../test/support/clients/ws-client.js';
import { startGateway } from '../test/support/gateway/gateway.js';
import { startIssuer } from '../test/support/servers/issuer.js';
import { startEcho } from '../test/support/upstreams/upstream.js';

const ADMIN_TOKEN = 'a-token-for-the-picture';
const PICTURE = fileURLToPath(new URL('../docs/admin-page.png', import.meta.url));
const NAMES = ['alice', 'bob', 'carol', 'device-0042', 'device-0117', 'erin', 'frank', 'grace@example.com'];

/** Further pictures of every view, light and dark, go into this folder. */
const {
  operands: [folder],
} = readOptions('admin-page-picture -- [FOLDER]', {}, 1, 0);

const issuer = await startIssuer();
const echo = await startEcho();
const gateway = await startGateway({
  env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN, CB_FAILURE_THRESHOLD: '1', WS_DIAL_RETRY_MAX: '1' },
  routes: [
    {
      prefix: '/orders',
      upstream: echo.url,
      requireRoles: ['user'],
      rateLimit: { perSecond: 20, burst: 60 },
    },
    { prefix: '/telemetry', upstream: echo.url },
    { prefix: '/status', upstream: echo.url, auth: 'public' },
    { prefix: '/reports', upstream: 'ws://127.0.0.1:9/' },
  ],
});
const admin = (path: string, body: object) =>
  http(`${gateway.http}/admin/${path}`, {
    method: path === 'ratelimits' ? 'PUT' : 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    body: JSON.stringify(body),
  });

for (const [index, sub] of NAMES.entries()) {
  const path = sub.startsWith('device') ? '/telemetry' : '/orders';
  await Peer.open(`${gateway.ws}${path}`, {
    token: issuer.sign({ sub, jti: `t-${index}`, roles: ['user'] }),
  });
}
await Peer.open(`${gateway.ws}/status`);
for (const order of [
  { sub: 'mallory', reason: 'floods the order channel', seconds: 604_800 },
  { sub: 'trudy', reason: 'shared her token' },
])
  await admin('bans', order);
await admin('revoke', { sub: 'heidi', jti: 'lost-phone' });
await admin('revoke', { sub: 'oscar', all: true });
await admin('ratelimits', { route: '/telemetry', perSecond: 50, burst: 200 });
for (const [path, token] of [
  ['/reports', issuer.sign({ sub: 'alice' })],
  ['/orders', issuer.sign({ sub: 'walter', roles: [] })],
  ['/orders', issuer.sign({ sub: 'mallory', roles: ['user'] })],
  ['/orders', issuer.sign({ sub: 'heidi', jti: 'lost-phone', roles: ['user'] })],
  ['/orders', `${issuer.sign({ sub: 'eve' }).slice(0, -8)}AAAAAAAA`],
] as const)
  await (await Peer.open(`${gateway.ws}${path}`, { token })).ended();

const page = await BrowserPage.open(`${gateway.http}/admin/ui`, { width: 1200, height: 760 });
await page.until('document.querySelector("dialog").open');
if (folder !== undefined) await page.screenshot(`${folder}/sign-in.png`);
await page.type(ADMIN_TOKEN);
await page.press('Enter');
await page.until(
  'document.querySelectorAll("#rows tr").length > 8 && !document.querySelector("dialog").open',
);
await page.evaluate('document.activeElement.blur()');
await page.screenshot(PICTURE);
if (folder !== undefined)
  for (const scheme of ['light', 'dark'] as const) {
    await page.prefer(scheme);
    for (const view of ['1', '2', '3', '4', '5', '6', '7']) {
      await page.press(view);
      await page.until('!document.querySelector("#rows").innerText.includes("Nothing is known yet")');
      await page.screenshot(`${folder}/${scheme}-${view}.png`);
    }
  }
await page.close();
await gateway.stop('SIGKILL');
process.exit(0);
