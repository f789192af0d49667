import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { GatewayLog } from './gateway-log.js';

const READY_POLL_MS = 50;
const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 10_000;

export interface GatewaySettings {
  /** Path of the built daemon. */
  readonly entry: string;
  readonly host: string;
  readonly port: number;
  /** What goes into routes.yaml. */
  readonly routes: readonly object[];
  /** What lies beside it, by name. */
  readonly files: Readonly<Record<string, object>>;
  /** Environment (SPEC section 2) without HOST, PORT and ROUTE_FILE. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The gateway in a process of its own. */
export class Gateway {
  readonly log = new GatewayLog();
  /** Rejects, with the gateway's last words, when the process ends unasked; never resolves. */
  readonly failed: Promise<never>;
  /** http:// URL without a path */
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #asked = new AbortController();

  private constructor({ entry, host, port, routes, files, variables }: GatewaySettings) {
    const folder = mkdtempSync(join(tmpdir(), 'ws-gateway-demo-'));
    const routeFile = join(folder, 'routes.yaml');
    writeFileSync(routeFile, stringify(routes));
    for (const [name, content] of Object.entries(files))
      writeFileSync(join(folder, name), stringify(content));
    this.url = `http://${host}:${port}`;

    const child = spawn(process.execPath, [entry], {
      // Nothing of the caller's environment: a REDIS_URL that happens to be set is not the demo's business.
      env: { ...variables, HOST: host, PORT: String(port), ROUTE_FILE: routeFile },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: a terminal's Ctrl-C reaches only the demo, which then stops the gateway.
      detached: true,
    });
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on('line', (line) => this.log.take(line));
    }

    this.#child = child;
    const end = new Promise<string>((resolve) => {
      child.once('error', (failure) => resolve(`did not start: ${failure.message}`));
      child.once('close', (code, signal) => resolve(`ended with ${signal ?? `exit code ${code}`}`));
    });
    this.#exited = end.then(() => {
      process.off('exit', kill);
      rmSync(folder, { recursive: true, force: true });
    });
    this.failed = new Promise((_resolve, reject) => {
      void end.then((how) => {
        if (!this.#asked.signal.aborted)
          reject(new Error(`the gateway ${how}: ${this.log.last ?? 'it printed nothing'}`));
      });
    });
    this.failed.catch(() => {});
  }

  /**
   * Starts it and waits until /readyz says 200.
   * @throws Error with its last words when it does not come up
   */
  static async start(settings: GatewaySettings): Promise<Gateway> {
    const gateway = new Gateway(settings);
    try {
      await Promise.race([gateway.#ready(), gateway.failed]);
      return gateway;
    } catch (thrown) {
      await gateway.close();
      throw thrown;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** SIGTERM, and SIGKILL if that does not help. */
  async close(): Promise<void> {
    this.#asked.abort();
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS);
    await this.#exited;
    clearTimeout(force);
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + START_LIMIT_MS;
    while (Date.now() < deadline && this.#child.exitCode === null) {
      const response = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (response?.ok === true) return;
      await pause(READY_POLL_MS);
    }
    if (this.#child.exitCode !== null) await this.failed;
    throw new Error(`the gateway was not ready within ${START_LIMIT_MS / 1000} s: ${this.log.last ?? ''}`);
  }
}
