/**
 * An MQTT broker that takes its time for every opening handshake and counts how many it is asked for at once.
 * Takes the milliseconds, prints its port; then for each line of its standard input the `Dials` so far.
 */
import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { frameHeader } from '../frames.js';

export interface Dials {
  readonly dials: number;
  /** Connections that waited for their 101 at the same time, at most. */
  readonly mostAtOnce: number;
}

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONNACK = Buffer.concat([frameHeader(0x2, 4), Buffer.from([0x20, 2, 0, 0])]);

const delayMs = Number(process.argv[2]);
let [dials, atOnce, mostAtOnce] = [0, 0, 0];

function onConnection(socket: Socket): void {
  dials++;
  mostAtOnce = Math.max(mostAtOnce, ++atOnce);
  let isDial = true;
  const dialEnds = (): void => {
    if (isDial) atOnce--;
    isDial = false;
  };
  socket.on('error', () => socket.destroy());
  socket.once('close', dialEnds);
  socket.once('data', (head: Buffer) => {
    const key = /^sec-websocket-key: *(\S+)/im.exec(head.toString('latin1'))?.[1] ?? '';
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64');
    setTimeout(() => {
      if (!isDial) return;
      // Before the answer leaves: the next dial may follow upon it at once.
      dialEnds();
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          `Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      // Its CONNECT, which comes in one piece; what comes after it is no concern of this one.
      socket.once('data', () => socket.write(CONNACK));
    }, delayMs);
  });
}

const server = createServer({ noDelay: true }, onConnection);
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port);
});
for await (const _ of createInterface({ input: process.stdin }))
  console.log(JSON.stringify({ dials, mostAtOnce } satisfies Dials));
process.exit(0);
