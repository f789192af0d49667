import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { type Child, startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { CHROMIUM_FLAGS } from './chromium.js';
import { http } from './http.js';

/** What a key of the keyboard sends. */
const KEYS: Readonly<
  Record<string, { readonly code: string; readonly keyCode: number; readonly text?: string }>
> = {
  Tab: { code: 'Tab', keyCode: 9 },
  Enter: { code: 'Enter', keyCode: 13, text: '\r' },
  Backspace: { code: 'Backspace', keyCode: 8 },
  Escape: { code: 'Escape', keyCode: 27 },
  ArrowRight: { code: 'ArrowRight', keyCode: 39 },
  ArrowLeft: { code: 'ArrowLeft', keyCode: 37 },
};

/** A gateway's page in a headless Chromium, driven as a user would, by keys (Chrome DevTools Protocol). */
export class BrowserPage {
  /** What the console complained of: errors, exceptions, violations of a policy. */
  readonly problems: string[] = [];
  readonly #answers = new Map<number, (message: { result?: unknown; error?: { message: string } }) => void>();
  #id = 0;

  private constructor(
    readonly child: Child,
    readonly profile: string,
    readonly socket: WebSocket,
  ) {
    socket.on('message', (data) => this.#hear(JSON.parse(String(data))));
  }

  static async open(url: string, size = { width: 1280, height: 860 }): Promise<BrowserPage> {
    const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
    const flags = [...CHROMIUM_FLAGS, '--remote-debugging-port=0', `--user-data-dir=${profile}`];
    const child = startChild(
      'chromium',
      [...flags, `--window-size=${size.width},${size.height}`, 'about:blank'],
      {
        group: true,
      },
    );
    const port = await eventually(
      () => /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(child.stderr)?.[1] ?? false,
      30_000,
    );
    const target = await eventually(async () => {
      const { body } = await http(`http://127.0.0.1:${port}/json/list`);
      const targets = JSON.parse(body) as { type: string; webSocketDebuggerUrl: string }[];
      return targets.find(({ type }) => type === 'page') ?? false;
    }, 30_000);
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const page = new BrowserPage(child, profile, socket);
    for (const domain of ['Page', 'Runtime', 'Log']) await page.#send(`${domain}.enable`);
    await page.#send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false });
    await page.#send('Page.navigate', { url });
    await page.until('document.readyState === "complete"');
    return page;
  }

  /** The value of an expression in the page; it must be JSON. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.#send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })) as { result: { value: T }; exceptionDetails?: { exception?: { description?: string } } };
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? expression);
    return result.value;
  }

  /** Resolves when the expression is true. */
  async until(expression: string, withinMs = 15_000): Promise<void> {
    await eventually(() => this.evaluate<boolean>(`Boolean(${expression})`), withinMs);
  }

  /** Presses a key: a character, or a name of `KEYS`. */
  async press(key: string): Promise<void> {
    const known = KEYS[key] ?? { code: '', keyCode: key.toUpperCase().charCodeAt(0), text: key };
    const event = { key, code: known.code, windowsVirtualKeyCode: known.keyCode };
    await this.#send('Input.dispatchKeyEvent', {
      type: known.text === undefined ? 'rawKeyDown' : 'keyDown',
      ...event,
      ...(known.text === undefined ? {} : { text: known.text }),
    });
    await this.#send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** Types into what has the focus. */
  async type(text: string): Promise<void> {
    await this.#send('Input.insertText', { text });
  }

  async prefer(scheme: 'light' | 'dark'): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.#send('Emulation.setEmulatedMedia', { features });
  }

  async screenshot(file: string): Promise<void> {
    const { data } = (await this.#send('Page.captureScreenshot', { format: 'png' })) as { data: string };
    await writeFile(file, Buffer.from(data, 'base64'));
  }

  async close(): Promise<void> {
    this.socket.terminate();
    await this.child.stop('SIGKILL');
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #send(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ result, error }) =>
        error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`)),
      );
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  #hear(message: {
    id?: number;
    method?: string;
    params?: { entry?: { level: string; text: string; url?: string }; exceptionDetails?: { text: string } };
  }): void {
    if (message.id !== undefined) {
      this.#answers.get(message.id)?.(message as object);
      this.#answers.delete(message.id);
    } else if (message.method === 'Log.entryAdded' && message.params?.entry?.level === 'error')
      this.problems.push(`${message.params.entry.text} ${message.params.entry.url ?? ''}`);
    else if (message.method === 'Runtime.exceptionThrown')
      this.problems.push(message.params?.exceptionDetails?.text ?? 'exception');
  }
}
