import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { accepts, freePort } from '../free-port.js';

/** Not the wrapper in /usr/sbin, which becomes another user. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const START_LIMIT_MS = 90_000;

/** A RabbitMQ with its plugins for STOMP and MQTT (3.1.1 at most) over WebSocket, user `guest`. */
export class RabbitMq {
  constructor(
    readonly url: string,
    /** Where it speaks MQTT. */
    readonly mqttUrl: string,
    private readonly child: Child,
    private readonly directory: string,
    private readonly epmdPort: number,
  ) {}

  async stop(): Promise<void> {
    await this.child.stop('SIGKILL');
    // Erlang's port mapper outlives whoever starts it.
    spawnSync('epmd', ['-port', String(this.epmdPort), '-kill']);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

export async function startRabbitMq(): Promise<RabbitMq> {
  const [amqp, web, mqtt] = [await freePort(), await freePort(), await freePort()];
  const [dist, epmd] = [await freePort(), await freePort()];
  const directory = await mkdtemp(join(tmpdir(), 'rabbitmq-'));
  const config = join(directory, 'rabbitmq.conf');
  const plugins = join(directory, 'enabled_plugins');
  await writeFile(plugins, '[rabbitmq_web_stomp,rabbitmq_web_mqtt].\n');
  await writeFile(
    config,
    [
      `listeners.tcp.1 = 127.0.0.1:${amqp}`,
      'web_stomp.tcp.ip = 127.0.0.1',
      `web_stomp.tcp.port = ${web}`,
      'stomp.listeners.tcp = none',
      'web_mqtt.tcp.ip = 127.0.0.1',
      `web_mqtt.tcp.port = ${mqtt}`,
      'mqtt.listeners.tcp = none',
      'mqtt.allow_anonymous = true',
      'loopback_users = none',
      '',
    ].join('\n'),
  );
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    LANG: 'C.UTF-8',
    RABBITMQ_NODENAME: `test${web}@localhost`,
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_CONFIG_FILE: config,
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_MNESIA_BASE: join(directory, 'data'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1',
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
  const child = startChild(SERVER, [], { env, cwd: directory, group: true });
  const urls = [`ws://127.0.0.1:${web}/ws`, `ws://127.0.0.1:${mqtt}/ws`] as const;
  const rabbit = new RabbitMq(...urls, child, directory, epmd);
  try {
    await eventually(
      async () => !child.alive || ((await accepts(web)) && (await accepts(mqtt))),
      START_LIMIT_MS,
    );
  } catch (error) {
    await rabbit.stop();
    throw new Error(`RabbitMQ did not start:\n${child.stdout}${child.stderr}`, { cause: error });
  }
  if (!child.alive) {
    await rabbit.stop();
    throw new Error(`RabbitMQ ended at its start:\n${child.stdout}${child.stderr}`);
  }
  return rabbit;
}
