import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildSite } from '../../scripts/site.js';
import { BrowserPage } from '../support/clients/browser-page.js';
import { readRules } from './alert-rules.js';

describe('the documentation as a site', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'site-'));
    buildSite(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const pages = () => readdirSync(folder).filter((name) => name.endsWith('.html'));

  it('has every page, and no link that leads nowhere or a picture that is missing', () => {
    assert.ok(pages().length > 25);
    const dead = pages().flatMap((page) =>
      [...read(page).matchAll(/(?:href|src)="([^"]+)"/g)].flatMap(([, link = '']) => {
        if (/^[a-z]+:/.test(link)) return [];
        const [name = '', anchor] = link.split('#');
        const file = name === '' ? page : name;
        if (!existsSync(join(folder, file))) return [`${page}: ${link}`];
        return anchor === undefined || read(file).includes(`id="${anchor}"`) ? [] : [`${page}: ${link}`];
      }),
    );
    assert.deepEqual(dead, []);
  });

  it('has every place that an alert leads to', async () => {
    const rules = await readRules();
    for (const { annotations } of rules.filter(({ alert }) => alert !== undefined)) {
      const [, page = '', anchor = ''] =
        /^docs\/([\w-]+)\.md#([\w-]+)$/.exec(annotations?.runbook ?? '') ?? [];
      assert.ok(read(`${page}.html`).includes(`id="${anchor}"`), annotations?.runbook);
    }
  });

  it('is searched without a server, by words and by the names of variables', async () => {
    const page = await BrowserPage.open(pathToFileURL(join(folder, 'monitoring.html')).href);
    try {
      await page.until(
        `[...document.images].length > 0 && [...document.images].every((image) => image.naturalWidth > 0)`,
      );
      for (const [words, target] of [
        ['circuit open', 'troubleshooting.html#circuit-open'],
        ['OTEL_SERVICE_NAME', 'configuration.html'],
      ]) {
        await page.evaluate(
          `document.getElementById('query').value = '${words}'; document.getElementById('query').dispatchEvent(new Event('input'))`,
        );
        await page.until(
          `[...document.querySelectorAll('#found a')].some(({ href }) => href.includes('${target}'))`,
        );
      }
      await page.evaluate(`document.querySelector('#found a').click()`);
      await page.until(
        `document.querySelector('main h1') !== null && !location.href.endsWith('monitoring.html')`,
      );
      assert.deepEqual(page.problems, []);
    } finally {
      await page.close();
    }
  });
});
