import { generate } from 'mqtt-packet';
import { handshakeHead, type RawClient } from '../../test/support/clients/raw-client.js';
import { OPCODE } from '../../test/support/protocols/frames.js';

/** No wait for a frame ever ends by this. */
const FOREVER_MS = 2 ** 31 - 1;

export interface Hello {
  readonly path: string;
  readonly mqtt: boolean;
  /** In a header; undefined: it comes later. */
  readonly token?: string | undefined;
}

export function head(port: number, { path, mqtt, token }: Hello): Buffer {
  const lines = [
    ...(mqtt ? ['Sec-WebSocket-Protocol: mqtt'] : []),
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
  ];
  return Buffer.from(handshakeHead(port, path, lines), 'latin1');
}

export function connectPacket(clientId: string, token: string): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId,
    keepalive: 0,
    username: clientId,
    password: Buffer.from(token),
  });
}

/**
 * Reads until the connection ends; pings are answered, a close frame too.
 * @returns code and reason of the gateway's close frame, '' if there was none.
 */
export async function untilClosed(client: RawClient): Promise<string> {
  let closing = '';
  for await (const frame of client.frames(FOREVER_MS)) {
    if (frame.opcode === OPCODE.ping) client.frame(OPCODE.pong, frame.payload);
    else if (frame.opcode === OPCODE.close) {
      closing =
        frame.payload.length < 2
          ? 'no code'
          : `${frame.payload.readUInt16BE(0)} ${frame.payload.toString('utf8', 2)}`;
      client.frame(OPCODE.close, frame.payload.subarray(0, 2));
      client.socket.end();
    }
  }
  return closing;
}
