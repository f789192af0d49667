import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { BrowserPage } from '../../support/clients/browser-page.js';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { freePort } from '../../support/free-port.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const ADMIN_TOKEN = 'administrator-of-tests';
/** Rows of the table that is shown, as text. */
const ROWS =
  '[...document.querySelectorAll("#rows tr")].map((row) => row.innerText.replace(/\\s+/g, " ").trim())';

const shows = (text: string): string => `${ROWS}.some((row) => row.includes(${JSON.stringify(text)}))`;

describe('the admin page', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;
  let page: BrowserPage | undefined;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN, CB_FAILURE_THRESHOLD: '1', WS_DIAL_RETRY_MAX: '1' },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/scoped', hosts: ['orders.example'], upstream: echo.url, requireScopes: ['read'] },
        { prefix: '/dead', upstream: `ws://127.0.0.1:${await freePort()}/` },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close()]);
  });
  afterEach(async () => {
    await page?.close();
    page = undefined;
    await assertQuiet(gateway, { upstreams: [echo], secrets: [ADMIN_TOKEN] });
    echo.reset();
  });

  /** A page that has been signed in, by keyboard alone. */
  async function signedIn(): Promise<BrowserPage> {
    const opened = await BrowserPage.open(`${gateway.http}/admin/ui`);
    page = opened;
    await opened.until('document.querySelector("dialog").open && document.activeElement.name === "token"');
    await opened.type(ADMIN_TOKEN);
    await opened.press('Enter');
    await opened.until(
      '!document.querySelector("dialog").open && document.querySelector("#state").innerText === "live"',
    );
    return opened;
  }

  /** Presses the button of the row that holds a text: it must be within reach of the Tab key. */
  async function pressButton(on: BrowserPage, row: string, button: string): Promise<void> {
    const found = `[...document.querySelectorAll("#rows tr")].find((row) => row.innerText.includes(${JSON.stringify(row)}))
      ?.querySelectorAll("button")`;
    await on.until(`[...(${found} ?? [])].some((each) => each.innerText === "${button}" && !each.disabled)`);
    await on.evaluate(`[...${found}].find((each) => each.innerText === "${button}").focus()`);
    await on.press('Enter');
  }

  /** Confirms the dialog that is open. */
  async function confirm(on: BrowserPage): Promise<void> {
    await on.until('document.querySelector("dialog").open');
    await on.evaluate('document.querySelector("dialog button[type=submit]").focus()');
    await on.press('Enter');
    await on.until('!document.querySelector("dialog").open');
  }

  it('is one file without anything from elsewhere, under a policy that lets nothing else run', async () => {
    const { status, headers, body } = await http(`${gateway.http}/admin/ui`);
    assert.equal(status, 200);
    assert.match(headers['content-type'] ?? '', /^text\/html/);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; /);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.doesNotMatch(body, /(?:src|href)="?(?:https?:)?\/\//);
    assert.doesNotMatch(body, /innerHTML|insertAdjacentHTML|document\.write|eval\(/);
    assert.equal((await http(`${gateway.http}/admin/ui`, { method: 'POST' })).status, 405);
    assert.equal((await http(`${gateway.http}/admin/ui/`)).status, 401);
    assert.equal((await http(`${gateway.http}/admin/sessions`)).status, 401);
  });

  it('shows nothing until the token is typed in, and refuses a wrong one', async () => {
    page = await BrowserPage.open(`${gateway.http}/admin/ui`);
    await page.until('document.querySelector("dialog").open');
    await page.type('wrong');
    await page.press('Enter');
    await page.until(
      'document.querySelector(".fault").innerText === "This is not the ADMIN_TOKEN of this gateway."',
    );
    assert.deepEqual(await page.evaluate(ROWS), ['Nothing is known yet.']);
    const complaints = page.problems.filter((problem) => !problem.includes('status of 401'));
    assert.deepEqual(complaints, []);
  });

  it('shows live sessions by filter, and closes, revokes and bans', async () => {
    const peers = await Promise.all(
      ['ann', 'bob', 'cid'].map((sub) =>
        Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub, jti: `of ${sub}` }) }),
      ),
    );
    const [ann, bob, cid] = peers;
    const on = await signedIn();
    await on.until(`${ROWS}.length === 3`);
    await on.press('/');
    await on.type('bo');
    await on.until(`${ROWS}.length === 1 && ${shows('bob')}`);
    await on.evaluate('document.querySelector("#filter").select()');
    await on.press('Backspace');
    await on.press('Escape');
    await on.until(`${ROWS}.length === 3`);
    await pressButton(on, 'ann', 'Close');
    await confirm(on);
    assert.deepEqual(await ann?.ended(), { code: 1008, reason: 'Closed by administrator' });
    await pressButton(on, 'bob', 'Revoke');
    await confirm(on);
    assert.deepEqual(await bob?.ended(), { code: 1008, reason: 'Token revoked' });
    await pressButton(on, 'cid', 'Ban');
    await confirm(on);
    assert.deepEqual(await cid?.ended(), { code: 1008, reason: 'Banned' });
    await on.press('5');
    await on.until(shows('cid'));
    await pressButton(on, 'cid', 'Lift');
    await on.until(shows('Nobody is banned.'));
    await on.press('6');
    await on.until(shows('of bob'));
    const again = await Peer.open(`${gateway.ws}/echo`, {
      token: issuer.sign({ sub: 'bob', jti: 'of bob' }),
    });
    await again.ended();
    await on.press('7');
    await on.until(shows('token_revoked'));
    const complaints = on.problems.filter((problem) => !problem.includes('status of 401'));
    assert.deepEqual(complaints, []);
  });

  it('shows each session at the provider that is revoked, and takes that one back', async () => {
    for (const sid of ['first-sid', 'second-sid']) {
      const { status } = await http(`${gateway.http}/admin/revoke`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
        body: JSON.stringify({ sid }),
      });
      assert.equal(status, 200);
    }
    const on = await signedIn();
    await on.press('6');
    await on.until(`${shows('session — first-sid')} && ${shows('session — second-sid')}`);
    await pressButton(on, 'first-sid', 'Lift');
    await on.until(`!${shows('first-sid')} && ${shows('second-sid')}`);
  });

  it('narrows the sessions to those of one protocol', async () => {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'fay' }) });
    const on = await signedIn();
    await on.until(shows('fay'));
    for (const [protocol, found] of [
      ['stomp', 'nobody whom the filter finds'],
      ['raw', 'fay'],
      ['http', 'nobody whom the filter finds'],
    ] as const) {
      await on.evaluate(`{
        const select = document.querySelector("select[aria-label=Protocol]");
        select.value = "${protocol}";
        select.dispatchEvent(new Event("change"));
      }`);
      await on.until(shows(found));
    }
    assert.equal(await on.evaluate('document.querySelector("#state").innerText'), 'live');
    await peer.close();
  });

  it('shows routes, circuits and limits, resets a circuit and sets a limit', async () => {
    const refused = await Peer.open(`${gateway.ws}/dead`, { token: issuer.sign({ sub: 'dan' }) });
    assert.equal((await refused.ended()).code, 1014);
    const on = await signedIn();
    await on.press('2');
    await on.until(shows('/dead'));
    assert.equal(await on.evaluate(shows('orders.example /scoped websocket any scopes: read')), true);
    await on.press('ArrowRight');
    await on.until(`document.activeElement.id === "tab-upstreams" && ${shows('open')}`);
    await pressButton(on, 'open', 'Reset circuit');
    await on.until(`${ROWS}.length === 2 && !${shows('open')}`);
    await on.press('4');
    await pressButton(on, 'everything without its own', 'Change');
    await on.until('document.querySelector("dialog").open');
    await on.evaluate('document.querySelector("dialog [name=perSecond]").value = "77"');
    await confirm(on);
    await on.until(`${shows('77')} && ${shows('here')}`);
    await pressButton(on, 'here', 'Back to configuration');
    await on.until(`!${shows('77')}`);
  });

  it('keeps hostile names as text', async () => {
    const sub = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub }) });
    const on = await signedIn();
    await on.until(shows('<img src=x'));
    assert.equal(await on.evaluate('document.title'), 'ws-gateway');
    assert.equal(await on.evaluate('document.querySelectorAll("#rows img, #rows script").length'), 0);
    await peer.close();
  });

  it('is dark where the user prefers that', async () => {
    page = await BrowserPage.open(`${gateway.http}/admin/ui`);
    const background = 'getComputedStyle(document.body).backgroundColor';
    await page.prefer('light');
    assert.equal(await page.evaluate(background), 'rgb(246, 247, 249)');
    await page.prefer('dark');
    assert.equal(await page.evaluate(background), 'rgb(15, 19, 25)');
  });

  it('can be read and changes nothing on a host without ADMIN_TOKEN', async () => {
    const local = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    try {
      const peer = await Peer.open(`${local.ws}/echo`, { token: issuer.sign({ sub: 'eve' }) });
      page = await BrowserPage.open(`${local.http}/admin/ui`);
      await page.until(shows('eve'));
      assert.equal(await page.evaluate('document.querySelector("#state").innerText'), 'live, read-only');
      assert.equal(
        await page.evaluate('[...document.querySelectorAll("#rows button")].every((each) => each.disabled)'),
        true,
      );
      const answer = 'fetch("/admin/bans", { method: "POST", body: "{}" }).then(({ status }) => status)';
      assert.equal(await page.evaluate(answer), 403);
      await peer.close();
    } finally {
      await page?.close();
      page = undefined;
      await local.stop();
    }
  });
});
