import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../test/support/child-process.js';
import { eventually, within } from '../test/support/eventually.js';
import { freePort } from '../test/support/free-port.js';
import { childrenOf } from './process-usage.js';

/** Something the load is sent to. */
export interface Target {
  readonly name: TargetName;
  readonly port: number;
  /** The process that does the work; undefined: none, the echo itself. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export const TARGET_NAMES = ['direct', 'nginx', 'haproxy', 'gateway'] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

export interface Surroundings {
  readonly directory: string;
  readonly echoPort: number;
  readonly jwksUrl: string;
  /** CPU the proxies have to themselves; undefined: no pinning. */
  readonly cpu: number | undefined;
}

const GATEWAY = fileURLToPath(new URL('../dist/cmd/main.js', import.meta.url));

/** A command that runs on one CPU. It replaces taskset, so its process id is the child's. */
export function pinned(
  cpu: number | undefined,
  command: string,
  args: readonly string[],
): [string, string[]] {
  if (cpu === undefined) return [command, [...args]];
  return ['taskset', ['-c', String(cpu), command, ...args]];
}

/** Starts what a target needs; it ends with this process at the latest. */
export async function startTarget(name: TargetName, surroundings: Surroundings): Promise<Target> {
  if (name === 'direct') return { name, port: surroundings.echoPort, pid: undefined, stop: async () => {} };
  const port = await freePort();
  const directory = join(surroundings.directory, name);
  await mkdir(directory, { recursive: true });
  const { command, args, env } = await prepare(name, port, directory, surroundings);
  const log = openSync(join(directory, 'log'), 'w');
  const child = startChild(...pinned(surroundings.cpu, command, args), {
    // The whole group ends at once: nginx's worker would outlive a master that is killed.
    group: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH, ...env },
  });
  closeSync(log);
  const stop = () => child.stop('SIGKILL').then(() => {});
  try {
    await eventually(async () => !child.alive || (await answers(name, port)), 20_000);
    if (!child.alive) throw new Error(`${name} ended:\n${await readFile(join(directory, 'log'), 'utf8')}`);
    return { name, port, pid: workerOf(name, child), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answers(name: TargetName, port: number): Promise<boolean> {
  if (name === 'gateway') return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  return accepts(port);
}

/** nginx works in a child of its master. */
function workerOf(name: TargetName, child: Child): number {
  if (name !== 'nginx') return child.pid;
  const [worker, ...others] = childrenOf(child.pid);
  if (worker === undefined || others.length > 0) throw new Error('nginx has not exactly one worker');
  return worker;
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const answer = new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  return within(answer, 'connection').finally(() => socket.destroy());
}

interface Prepared {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function prepare(
  name: Exclude<TargetName, 'direct'>,
  port: number,
  directory: string,
  { echoPort, jwksUrl }: Surroundings,
): Promise<Prepared> {
  const file = join(directory, 'config');
  switch (name) {
    case 'nginx':
      await writeFile(file, nginxConfig(port, echoPort, directory));
      return { command: 'nginx', args: ['-p', directory, '-c', file], env: {} };
    case 'haproxy':
      await writeFile(file, haproxyConfig(port, echoPort));
      return { command: 'haproxy', args: ['-db', '-f', file], env: {} };
    case 'gateway':
      await writeFile(file, JSON.stringify([{ prefix: '/', upstream: `ws://127.0.0.1:${echoPort}` }]));
      return { command: process.execPath, args: [GATEWAY], env: gatewayEnvironment(port, file, jwksUrl) };
  }
}

/** Everything on: tokens verified against a JWKS, memory cache, limits that are counted but never reached, metrics. */
function gatewayEnvironment(port: number, routeFile: string, jwksUrl: string): Record<string, string> {
  return {
    HOST: '127.0.0.1',
    PORT: String(port),
    ROUTE_FILE: routeFile,
    JWKS_URL: jwksUrl,
    JWT_CACHE_STORE: 'memory',
    RATE_LIMIT_PER_SECOND: '1000000000',
    RATE_LIMIT_BURST: '1000000000',
    MAX_CONNECTIONS_PER_IP: '1000000',
    MAX_CONNECTIONS_PER_SUB: '1000000',
    GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0',
  };
}

function nginxConfig(port: number, echoPort: number, directory: string): string {
  return `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory}/pid;
error_log stderr error;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://127.0.0.1:${echoPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }
  }
}
`;
}

function haproxyConfig(port: number, echoPort: number): string {
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend clients
  bind 127.0.0.1:${port} backlog 4096
  default_backend echo
backend echo
  server echo 127.0.0.1:${echoPort}
`;
}
