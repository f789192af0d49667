import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Certificate } from '../certificate.js';
import { type Child, startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { accepts, freePort } from '../free-port.js';

/** A proxy of examples/ in front of a gateway. */
export interface FrontProxy {
  readonly port: number;
  stop(): Promise<void>;
}

const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;

/** What a configuration of examples/ has that is another's here. */
export function placed(text: string, places: Readonly<Record<string, string>>): string {
  return Object.entries(places).reduce((said, [from, to]) => {
    if (!said.includes(from)) throw new Error(`the example says nothing of ${JSON.stringify(from)}`);
    return said.replaceAll(from, to);
  }, text);
}

const example = (name: string) =>
  readFile(fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url)), 'utf8');

/** Starts Debian's nginx with examples/nginx/ws-gateway.conf in its conf.d. */
export async function startNginx(gatewayPort: number, certificate: Certificate): Promise<FrontProxy> {
  return start(async (directory, port) => {
    const site = placed(await example('nginx/ws-gateway.conf'), {
      'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
      '127.0.0.1:8080': `127.0.0.1:${gatewayPort}`,
      'gateway.example.com': 'localhost',
      '/etc/nginx/tls/gateway.crt': certificate.certFile,
      '/etc/nginx/tls/gateway.key': certificate.keyFile,
    });
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const lines = [
      ...(process.getuid?.() === 0 ? ['user root;'] : []),
      ...['daemon off;', 'worker_processes 1;', `pid ${directory}/pid;`, 'error_log stderr warn;'],
      'events { worker_connections 256; }',
      `http { access_log off; ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}`,
      `${site}}`,
    ];
    const file = join(directory, 'nginx.conf');
    await writeFile(file, lines.join('\n'));
    return startChild('nginx', ['-e', 'stderr', '-c', file], { env: { PATH }, group: true });
  });
}

/** Starts Debian's haproxy with examples/haproxy/haproxy.cfg. */
export async function startHaproxy(gatewayPort: number, certificate: Certificate): Promise<FrontProxy> {
  return start(async (directory, port) => {
    const [chain, key] = await Promise.all(
      [certificate.certFile, certificate.keyFile].map((file) => readFile(file, 'utf8')),
    );
    const pem = join(directory, 'gateway.pem');
    await writeFile(pem, `${chain}${key}`);
    const file = join(directory, 'haproxy.cfg');
    const config = placed(await example('haproxy/haproxy.cfg'), {
      'bind :443': `bind 127.0.0.1:${port}`,
      '127.0.0.1:8080': `127.0.0.1:${gatewayPort}`,
      '/etc/haproxy/gateway.pem': pem,
      'maxconn 20000': 'maxconn 256',
    });
    await writeFile(file, config);
    return startChild('haproxy', ['-db', '-f', file], { env: { PATH }, group: true });
  });
}

async function start(launch: (directory: string, port: number) => Promise<Child>): Promise<FrontProxy> {
  const directory = await mkdtemp(join(tmpdir(), 'front-proxy-'));
  const port = await freePort();
  const child = await launch(directory, port);
  const stop = async (): Promise<void> => {
    await child.stop('SIGTERM').finally(() => rm(directory, { recursive: true, force: true }));
  };
  try {
    await eventually(async () => !child.alive || (await accepts(port)), 30_000);
    if (!child.alive) throw new Error('it ended');
  } catch (cause) {
    await stop();
    throw new Error(`the proxy did not start:\n${child.stdout}${child.stderr}`, { cause });
  }
  return { port, stop };
}
