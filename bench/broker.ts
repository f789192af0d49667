import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from '../test/support/child-process.js';
import { eventually } from '../test/support/eventually.js';
import { accepts, freePort } from '../test/support/free-port.js';
import { pinned } from './machine.js';

export interface Broker {
  /** For MQTT over WebSocket. */
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** mosquitto, open to all, without a log, for WebSocket clients. It ends with this process at the latest. */
export async function startBroker(parent: string, cpu: number | undefined): Promise<Broker> {
  const directory = join(parent, 'broker');
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const file = join(directory, 'mosquitto.conf');
  const lines = [
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'allow_anonymous true',
    'persistence false',
    'log_type none',
    'set_tcp_nodelay true',
    // A subscriber that falls behind is not to miss anything.
    'max_queued_messages 0',
    // Some builds end when none of their listeners is one for plain TCP.
    `listener ${await freePort()} 127.0.0.1`,
    `listener ${port} 127.0.0.1`,
    'protocol websockets',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const env = { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };
  const child = startChild(...pinned(cpu, 'mosquitto', ['-c', file]), { env });
  await eventually(async () => {
    if (!child.alive) throw new Error(`mosquitto ended:\n${child.stdout}${child.stderr}`);
    return await accepts(port);
  });
  return { port, pid: child.pid, stop: () => child.stop('SIGKILL').then(() => {}) };
}
