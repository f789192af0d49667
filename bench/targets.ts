import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Certificate } from '../test/support/certificate.js';
import { type Child, startChild } from '../test/support/child-process.js';
import { eventually } from '../test/support/eventually.js';
import { accepts, freePort } from '../test/support/free-port.js';
import { GATEWAY_COMMAND } from '../test/support/gateway/gateway.js';
import { pinned } from './machine.js';
import { childrenOf } from './process-usage.js';
import { TSX } from './programs.js';
import { gatewayEnvironment, haproxyConfig, nginxConfig, type ProxyConfig } from './proxy-configs.js';

export const PROXIES = ['direct', 'nginx', 'haproxy', 'bare', 'gateway'] as const;
export type Proxy = (typeof PROXIES)[number];

/** Something the load is sent to. */
export interface TargetSpec {
  readonly name: string;
  readonly proxy: Proxy;
  /** haproxy: whether it verifies tokens. */
  readonly verifies?: boolean;
  /** Variables of the gateway over those of `gatewayEnvironment`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Target extends TargetSpec {
  readonly port: number;
  /** The processes that do the work: a gateway's supervisor is the first. None: the upstream itself. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly directory: string;
  /** Upstreams on 127.0.0.1; the gateway uses all in turn, the others the first. */
  readonly upstreamPorts: readonly [number, ...number[]];
  readonly jwksUrl: string;
  /** PEM file of the key behind it, for who verifies tokens without a JWKS. */
  readonly publicKeyFile?: string;
  /** Targets listen with TLS. */
  readonly certificate: Certificate | undefined;
  /** CPU, or list of them, that the proxies have to themselves; undefined: no pinning. */
  readonly cpu: number | string | undefined;
}

/** Starts what a target needs; it ends with this process at the latest. */
export async function startTarget(spec: TargetSpec, surroundings: Surroundings): Promise<Target> {
  const { proxy, name } = spec;
  const [upstreamPort] = surroundings.upstreamPorts;
  if (proxy === 'direct') return { ...spec, port: upstreamPort, pids: [], stop: async () => {} };
  const port = await freePort();
  const directory = join(surroundings.directory, name.replaceAll(/\W+/g, '-'));
  await mkdir(directory, { recursive: true });
  const { command, args, env } = await prepare({ ...spec, proxy }, port, directory, surroundings);
  const log = openSync(join(directory, 'log'), 'w');
  const child = startChild(...pinned(surroundings.cpu, command, args), {
    // The whole group ends at once: nginx's worker would outlive a master that is killed.
    group: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH, ...env },
  });
  closeSync(log);
  const stop = () => child.stop('SIGKILL').then(() => {});
  const ready = (): Promise<boolean> =>
    proxy === 'gateway' ? isReady(port, surroundings.certificate) : accepts(port);
  try {
    await eventually(async () => !child.alive || (await ready()), 20_000);
    if (!child.alive) throw new Error(`${name} ended:\n${await readFile(join(directory, 'log'), 'utf8')}`);
    // The master listens before it has its worker.
    if (proxy === 'nginx') await eventually(() => childrenOf(child.pid).length === 1);
    return { ...spec, port, pids: pidsOf(proxy, child), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** GET /readyz of a gateway. */
async function isReady(port: number, certificate: Certificate | undefined): Promise<boolean> {
  const where = { host: '127.0.0.1', port, path: '/readyz', agent: false, timeout: 5000 };
  const sent =
    certificate === undefined
      ? httpRequest(where)
      : httpsRequest({ ...where, ca: await readFile(certificate.certFile) });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    sent.once('response', (response) => resolve(response.resume().statusCode));
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', reject);
    sent.end();
  });
  return status === 200;
}

/** nginx works in a child of its master, the gateway in itself or in all of its workers. */
function pidsOf(proxy: Proxy, child: Child): number[] {
  const children = childrenOf(child.pid);
  return proxy === 'nginx' ? children : [child.pid, ...children];
}

interface Prepared {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function prepare(
  { proxy, verifies = false, env = {} }: TargetSpec & { readonly proxy: Exclude<Proxy, 'direct'> },
  port: number,
  directory: string,
  { upstreamPorts, jwksUrl, publicKeyFile, certificate }: Surroundings,
): Promise<Prepared> {
  const file = join(directory, 'config');
  const config: ProxyConfig = { port, upstreamPort: upstreamPorts[0], certificate };
  const upstream = upstreamPorts.map((each) => `ws://127.0.0.1:${each}`);
  switch (proxy) {
    case 'nginx':
      await writeFile(file, nginxConfig(config, directory));
      return { command: 'nginx', args: ['-p', directory, '-c', file], env: {} };
    case 'haproxy':
      await writeFile(
        file,
        haproxyConfig(
          config,
          certificate && (await onePem(certificate, directory)),
          verifies ? publicKeyFile : undefined,
        ),
      );
      return { command: 'haproxy', args: ['-db', '-f', file], env: {} };
    case 'bare': {
      const program = fileURLToPath(new URL('bare-forwarder.ts', import.meta.url));
      const args = ['--import', TSX, program, String(port), String(upstreamPorts[0])];
      return { command: process.execPath, args, env: {} };
    }
    case 'gateway': {
      await writeFile(file, JSON.stringify([{ prefix: '/', upstream }]));
      const [command = '', ...args] = GATEWAY_COMMAND;
      return { command, args, env: { ...gatewayEnvironment(config, file, jwksUrl), ...env } };
    }
  }
}

/** HAProxy wants certificate and key in one file. */
async function onePem({ certFile, keyFile }: Certificate, directory: string): Promise<string> {
  const file = join(directory, 'both.pem');
  await writeFile(file, (await readFile(certFile, 'utf8')) + (await readFile(keyFile, 'utf8')), {
    mode: 0o600,
  });
  return file;
}
