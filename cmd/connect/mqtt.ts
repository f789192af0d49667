import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt, { type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { fromUnknown } from '../../internal/errors.js';
import { printable } from '../line/words.js';
import { endingText, statusText } from './ending.js';
import { type ConnectPlan, handshakeOf } from './plan.js';

const HELP = 'commands: sub TOPIC, unsub TOPIC, pub TOPIC MESSAGE';

/** MQTT by commands. @param version 4: MQTT 3.1.1. @returns the exit status */
export async function connectMqtt(plan: ConnectPlan, version: 4 | 5): Promise<number> {
  const { url, subprotocols, options } = handshakeOf(plan);
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  let ownEnd = false;
  let isOpen = false;
  let isRefused = false;
  const password = plan.place === 'password' ? plan.token : undefined;
  const ended = new Promise<number>((resolve) => {
    const client = mqtt.connect(url, {
      protocolVersion: version,
      reconnectPeriod: 0,
      ...(password === undefined ? {} : { username: 'token', password }),
      createWebsocket: (address: string, offered: string[]) => {
        const socket = new WebSocket(address, [...offered, ...subprotocols], options);
        socket.on('unexpected-response', (_request, { statusCode = 0 }) => {
          tell(statusText(statusCode));
          isRefused = true;
          socket.terminate();
        });
        socket.on('open', () => {
          isOpen = true;
        });
        socket.on('close', (code, reason) => {
          if (isOpen && !ownEnd) tell(endingText(code, reason.toString('utf8')));
          resolve(ownEnd ? 0 : 1);
        });
        return socket;
      },
    });
    client.on('error', (error) => {
      if (!isRefused) tell(`${isOpen ? 'refused' : 'not connected'}: ${error.message}`);
    });
    client.on('message', (topic, payload) => {
      process.stdout.write(`${printable(topic)}: ${printable(payload.toString('utf8'))}\n`);
    });
    client.once('connect', () => {
      if (plan.prompts) tell(`connected; ${HELP}; Ctrl-D ends it`);
      void speak(client, plan, tell).then(() => {
        ownEnd = true;
        client.end(false);
      });
    });
  });
  return await ended;
}

async function speak(
  client: MqttClient,
  { lingerMs, prompts }: ConnectPlan,
  tell: (line: string) => void,
): Promise<void> {
  for await (const line of createInterface({ input: process.stdin, terminal: false })) {
    const [, verb, topic = '', message = ''] = /^\s*(\w+)\s+(\S+)(?:\s(.*))?$/s.exec(line) ?? [];
    try {
      if (verb === 'sub') await client.subscribeAsync(topic);
      else if (verb === 'unsub') await client.unsubscribeAsync(topic);
      else if (verb === 'pub') await client.publishAsync(topic, message, { qos: 1 });
      else if (line.trim() !== '') tell(HELP);
    } catch (thrown) {
      tell(`${verb} ${topic}: ${fromUnknown(thrown).message}`);
    }
    if (!client.connected) return;
  }
  if (!prompts) await pause(lingerMs);
}
