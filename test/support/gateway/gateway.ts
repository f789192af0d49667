import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, type Exit, startChild } from '../child-process.js';
import { http } from '../clients/http.js';
import { eventually } from '../eventually.js';
import { accepts, freePort } from '../free-port.js';
import { MetricsText } from './metrics-text.js';

/** The daemon as users run it; scripts/test builds it first. */
const MAIN = fileURLToPath(new URL('../../../dist/cmd/main.js', import.meta.url));

/** Or another one: a command line without spaces in its words, as scripts/test-image sets it. */
export const GATEWAY_COMMAND: readonly string[] = process.env.TEST_GATEWAY_COMMAND?.split(' ') ?? [
  process.execPath,
  MAIN,
];

/** One entry of a routes file. */
export type RouteEntry = Readonly<Record<string, unknown>>;

export interface GatewayOptions {
  /** Entries, or the text of the file; none: an empty list. */
  readonly routes?: readonly RouteEntry[] | string;
  /** Variables over the test defaults; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly args?: readonly string[];
  /** Path of what its standard output goes to; none: it is kept. */
  readonly output?: string;
  /** `ready`: /readyz answers 200; `alive`: /healthz does; `listening`: the port takes connections. */
  readonly waitFor?: 'ready' | 'alive' | 'listening';
}

/** Quick, quiet and without limits, unless a test says otherwise. */
const TEST_DEFAULTS = {
  HOST: '127.0.0.1',
  LOG_LEVEL: 'debug',
  RATE_LIMIT_PER_SECOND: '0',
  CB_HEALTHCHECK_INTERVAL_SECONDS: '3600',
  WS_DIAL_RETRY_INTERVAL_SECONDS: '0.1',
  GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0.2',
  SHUTDOWN_HARD_LIMIT: '2',
};

/** A running gateway. */
export class Gateway {
  readonly http: string;
  readonly ws: string;
  #taken = 0;

  constructor(
    readonly port: number,
    readonly child: Child,
    readonly directory: string,
    readonly routeFile: string,
  ) {
    this.http = `http://127.0.0.1:${port}`;
    this.ws = `ws://127.0.0.1:${port}`;
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Everything it printed. */
  get output(): string {
    return this.child.stdout + this.child.stderr;
  }

  /** The lines printed since the last call. */
  takeLines(): string[] {
    const lines = this.output.slice(this.#taken).split('\n');
    this.#taken = this.output.length;
    return lines;
  }

  /** Its log lines, parsed; what is no JSON object is left out. */
  get logs(): readonly Readonly<Record<string, unknown>>[] {
    return this.child.stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Which listener it says it has: what differs between them is theirs to, see docs/listeners.md. */
  async listener(): Promise<'node' | 'uws'> {
    return await eventually(() => {
      const { listener } = this.logs.find(({ listener }) => listener !== undefined) ?? {};
      assert.ok(listener === 'node' || listener === 'uws', 'no line says which listener it is');
      return listener;
    });
  }

  async metrics(): Promise<MetricsText> {
    const answer = await http(`${this.http}/metrics`);
    assert.equal(answer.status, 200, 'GET /metrics');
    return new MetricsText(answer.body);
  }

  async rssBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  async fdCount(): Promise<number> {
    return (await readdir(`/proc/${this.pid}/fd`)).length;
  }

  /** Puts a new routes file in place of the old one, atomically. */
  async writeRoutes(routes: readonly RouteEntry[] | string): Promise<void> {
    const draft = join(this.directory, 'routes.draft');
    await writeFile(draft, routesText(routes));
    await rename(draft, this.routeFile);
  }

  /** SIGTERM (or another) and the end of it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', withinMs = 15_000): Promise<Exit> {
    try {
      return await this.child.stop(signal, withinMs);
    } finally {
      await rm(this.directory, { recursive: true, force: true });
    }
  }
}

/** Starts the daemon on a free port and waits until it answers. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const gateway = await launch(options);
  const path = options.waitFor === 'alive' ? '/healthz' : '/readyz';
  try {
    await eventually(async () => {
      if (!gateway.child.alive) return true;
      if (options.waitFor === 'listening') return await accepts(gateway.port);
      return (await http(gateway.http + path)).status === 200;
    }, 30_000);
  } catch (error) {
    await gateway.stop('SIGKILL');
    throw new Error(`the gateway never answered ${path} with 200:\n${gateway.output}`, { cause: error });
  }
  if (!gateway.child.alive) throw new Error(`the gateway ended at its start:\n${gateway.output}`);
  return gateway;
}

/** Starts the daemon and waits until it ends by itself. */
export async function runGateway(
  options: GatewayOptions = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string; readonly routeFile: string }> {
  const gateway = await launch(options);
  try {
    await eventually(() => !gateway.child.alive, 20_000);
  } finally {
    await gateway.stop('SIGKILL');
  }
  const { stdout, stderr } = gateway.child;
  return { ...(await gateway.child.exited), stdout, stderr, routeFile: gateway.routeFile };
}

async function launch(options: GatewayOptions): Promise<Gateway> {
  assert.ok(!GATEWAY_COMMAND.includes(MAIN) || existsSync(MAIN), `${MAIN} is missing: npm run build`);
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'ws-gateway-test-'));
  const routeFile = join(directory, 'routes.yaml');
  await writeFile(routeFile, routesText(options.routes ?? []));
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PORT: String(port),
    ROUTE_FILE: routeFile,
    LISTENER: process.env.TEST_LISTENER,
    ...TEST_DEFAULTS,
    ...options.env,
  };
  const [command = '', ...args] = [...GATEWAY_COMMAND, ...(options.args ?? [])];
  const output = options.output === undefined ? 'pipe' : openSync(options.output, 'a');
  const child = startChild(command, args, { env, cwd: directory, stdio: ['ignore', output, 'pipe'] });
  if (typeof output === 'number') closeSync(output);
  return new Gateway(port, child, directory, routeFile);
}

/** JSON is YAML. */
function routesText(routes: readonly RouteEntry[] | string): string {
  return typeof routes === 'string' ? routes : `${JSON.stringify(routes, undefined, 2)}\n`;
}
