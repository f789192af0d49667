import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../test/support/child-process.js';
import { http } from '../../test/support/clients/http.js';
import { eventually } from '../../test/support/eventually.js';
import { accepts, freePort } from '../../test/support/free-port.js';
import { GATEWAY_COMMAND } from '../../test/support/gateway/gateway.js';
import { pinned } from '../machine.js';
import { childrenOf } from '../process-usage.js';
import { TSX } from '../programs.js';
import { gatewayEnvironment } from '../proxy-configs.js';

export const TARGETS = ['nginx', 'bare', 'gateway'] as const;
export type TargetName = (typeof TARGETS)[number];

/** Bytes of what is downloaded and uploaded. */
export const LARGE_BYTES = 10_485_760;

export interface Target {
  readonly name: TargetName | 'upstream';
  readonly port: number;
  /** The process that does the work. */
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly directory: string;
  readonly upstreamPort: number;
  readonly jwksUrl: string;
  readonly cpu: number | undefined;
}

/** nginx as what all of them forward to: 1 KB, a large file, and a place for uploads. */
export async function startUpstream(directory: string, cpu: number | undefined): Promise<Target> {
  const own = join(directory, 'upstream');
  await mkdir(own);
  await writeFile(join(own, 'large'), Buffer.alloc(LARGE_BYTES, 'x'));
  const port = await freePort();
  const server = `root ${own}; location /small { return 200 "${'x'.repeat(1024)}"; } location /sink { dav_methods PUT; }`;
  return start('upstream', port, await nginx(own, port, server), cpu);
}

export async function startTarget(
  name: TargetName,
  { directory, upstreamPort, jwksUrl, cpu }: Surroundings,
): Promise<Target> {
  const own = join(directory, name);
  await mkdir(own);
  const port = await freePort();
  switch (name) {
    case 'nginx': {
      const server = `location / { proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_request_buffering off; proxy_max_temp_file_size 0; }`;
      const pool = `upstream upstream { server 127.0.0.1:${upstreamPort}; keepalive 200; keepalive_requests 1000000; }`;
      return start(name, port, await nginx(own, port, server, pool), cpu);
    }
    case 'bare': {
      const program = fileURLToPath(new URL('bare-forwarder.ts', import.meta.url));
      const args = ['--import', TSX, program, String(port), String(upstreamPort)];
      return start(name, port, { command: process.execPath, args, env: {} }, cpu);
    }
    case 'gateway': {
      const file = join(own, 'routes.json');
      await writeFile(
        file,
        JSON.stringify([{ prefix: '/', upstream: `http://127.0.0.1:${upstreamPort}/`, maxBodyBytes: 0 }]),
      );
      const [command = '', ...args] = GATEWAY_COMMAND;
      const env = gatewayEnvironment({ port, certificate: undefined }, file, jwksUrl);
      const target = await start(name, port, { command, args, env }, cpu);
      await eventually(async () => (await http(`http://127.0.0.1:${port}/readyz`)).status === 200, 20_000);
      return target;
    }
  }
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function nginx(directory: string, port: number, server: string, more = ''): Promise<Program> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (each) => `${each}_temp_path ${directory}/${each};`,
  );
  const file = join(directory, 'nginx.conf');
  await writeFile(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid ${directory}/pid; error_log stderr error;
events { worker_connections 5000; }
http {
  access_log off; sendfile on; client_max_body_size 0; keepalive_requests 100000000;
  ${temporary.join(' ')}
  ${more}
  server { listen 127.0.0.1:${port} backlog=1024; ${server} }
}
`,
  );
  return { command: 'nginx', args: ['-p', directory, '-e', 'stderr', '-c', file], env: {} };
}

async function start(
  name: Target['name'],
  port: number,
  { command, args, env }: Program,
  cpu: number | undefined,
): Promise<Target> {
  const path = `${process.env.PATH}:/usr/sbin`;
  // nginx's worker would outlive a master that is killed; what they print nobody reads.
  const child: Child = startChild(...pinned(cpu, command, args), {
    group: true,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: path, ...env },
  });
  const stop = () => child.stop('SIGKILL').then(() => {});
  try {
    await eventually(() => accepts(port), 20_000);
    const isNginx = command === 'nginx';
    if (isNginx) await eventually(() => childrenOf(child.pid).length === 1);
    return { name, port, pid: (isNginx ? childrenOf(child.pid)[0] : undefined) ?? child.pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
