import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChild } from '../child-process.js';
import { within } from '../eventually.js';

const MQTT_JS = fileURLToPath(new URL('../../../node_modules/mqtt/dist/mqtt.min.js', import.meta.url));

export const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--password-store=basic',
];

export interface Page {
  /** Body of an async function run in the page; its result, which must be JSON, comes back. */
  readonly script: string;
  /** Set-Cookie of the page, e.g. `session=…`. */
  readonly cookie?: string;
  /** Host name under which the page is opened: its origin is `http://<host>:<port>`. */
  readonly host?: '127.0.0.1' | 'localhost';
}

/** A headless Chromium that opens pages one after another and tells what their scripts returned. */
export class Chromium {
  readonly #server = createServer();

  /** The port of every page's origin. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  /**
   * Opens the page in a browser of its own.
   * @throws what the script threw, or when no result comes in time
   */
  async run(page: Page, withinMs = 60_000): Promise<unknown> {
    const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
    const result = this.#serve(page);
    const url = `http://${page.host ?? '127.0.0.1'}:${this.port}/`;
    const browser = startChild('chromium', [...CHROMIUM_FLAGS, `--user-data-dir=${profile}`, url], {
      group: true,
    });
    try {
      return await within(result, `result from the page; chromium said:\n${browser.stderr}`, withinMs);
    } finally {
      await browser.stop('SIGKILL');
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(page: Page): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#server.removeAllListeners('request');
      this.#server.on('request', (request, response) => {
        if (request.url === '/mqtt.js') {
          response.setHeader('content-type', 'text/javascript');
          createReadStream(MQTT_JS).pipe(response);
        } else if (request.url === '/result') {
          let body = '';
          request.on('data', (bytes) => {
            body += bytes;
          });
          request.on('end', () => {
            response.end();
            const { value, error } = JSON.parse(body) as { value?: unknown; error?: string };
            if (error === undefined) resolve(value);
            else reject(new Error(`the page threw: ${error}`));
          });
        } else {
          if (page.cookie !== undefined) response.setHeader('set-cookie', page.cookie);
          response.setHeader('content-type', 'text/html; charset=utf-8');
          response.end(html(page.script));
        }
      });
    });
  }
}

export async function startChromium(): Promise<Chromium> {
  const chromium = new Chromium();
  await chromium.listen();
  return chromium;
}

function html(script: string): string {
  return `<!doctype html><title>test</title><script src="/mqtt.js"></script><script>
const report = (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) });
(async () => { ${script} })().then((value) => report({ value }), (error) => report({ error: String(error) }));
</script>`;
}
