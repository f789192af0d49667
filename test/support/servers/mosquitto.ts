import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { accepts, freePort } from '../free-port.js';

export interface Mosquitto {
  /** ws:// URL of its WebSocket listener. */
  readonly url: string;
  readonly wsPort: number;
  readonly tcpPort: number;
  log(): string;
  stop(): Promise<void>;
}

/** Starts Debian's mosquitto, open to all, with a TCP and a WebSocket listener. */
export async function startMosquitto(): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), 'mosquitto-'));
  const tcpPort = await freePort();
  const wsPort = await freePort();
  const file = join(directory, 'mosquitto.conf');
  const lines = [
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'allow_anonymous true',
    'persistence false',
    'log_type all',
    `listener ${tcpPort} 127.0.0.1`,
    `listener ${wsPort} 127.0.0.1`,
    'protocol websockets',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
  const child = startChild('mosquitto', ['-c', file], { env: { PATH: path } });
  const stop = async (): Promise<void> => {
    await child.stop('SIGTERM').finally(() => rm(directory, { recursive: true, force: true }));
  };
  try {
    await eventually(async () => (await accepts(tcpPort)) && (await accepts(wsPort)));
  } catch (error) {
    await stop();
    throw new Error(`mosquitto did not start:\n${child.stdout}${child.stderr}`, { cause: error });
  }
  return {
    url: `ws://127.0.0.1:${wsPort}`,
    wsPort,
    tcpPort,
    log: () => child.stdout + child.stderr,
    stop,
  };
}
