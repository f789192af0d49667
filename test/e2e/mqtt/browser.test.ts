import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BrowserPage } from '../../support/clients/browser-page.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { placed } from '../../support/servers/front-proxy.js';
import { startIssuer } from '../../support/servers/issuer.js';
import { startMosquitto } from '../../support/servers/mosquitto.js';

const FOLDER = fileURLToPath(new URL('../../../examples/browser-mqtt', import.meta.url));
const LIBRARY = fileURLToPath(new URL('../../../node_modules/mqtt/dist', import.meta.url));

test('the page of examples/browser-mqtt talks to a broker, and says when its token is refused', async (t) => {
  const [issuer, broker] = await Promise.all([startIssuer(), startMosquitto()]);
  t.after(() => Promise.all([issuer.close(), broker.stop()]));
  const routes = placed(await readFile(`${FOLDER}/routes.yaml`, 'utf8'), {
    'files: page': `files: ${FOLDER}/page`,
    '../../node_modules/mqtt/dist': LIBRARY,
    'ws://127.0.0.1:9001/': `${broker.url}/`,
  });
  const gateway = await startGateway({ env: { JWKS_URL: issuer.jwksUrl }, routes });
  t.after(() => gateway.stop());
  const page = await BrowserPage.open(`${gateway.http}/page/index.html`);
  t.after(() => page.close());
  const says = (text: string) =>
    page.until(
      `[...document.querySelectorAll('#log li')].some((line) => line.textContent.includes('${text}'))`,
    );
  const connect = (token: string) =>
    page.evaluate(
      `document.getElementById('token').value = '${token}'; document.querySelector('#connect button').click()`,
    );
  await page.until(`typeof mqtt === 'object'`);
  await connect(issuer.sign({ sub: 'ann' }));
  await says('subscribed to demo/#');
  await page.evaluate(`document.querySelector('#publish button').click()`);
  await says('demo/room: hello');
  await connect(issuer.sign({ sub: 'ann' }, { expiresInSeconds: -60 }));
  await says('refused: ');
  assert.deepEqual(page.problems, []);
});
