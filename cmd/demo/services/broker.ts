import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { Aedes } from 'aedes';
import { type IConnectPacket, type Packet, parser as packetParser } from 'mqtt-packet';
import { type WebSocket, WebSocketServer } from 'ws';
import { listenLocally } from './local-server.js';
import { serveMqttFive } from './mqtt-five.js';
import { socketStream } from './socket-stream.js';

/** What the broker learned from a client's CONNECT. */
interface BrokerVisit {
  readonly clientId: string;
  readonly version: '3.1.1' | '5.0';
  /** The User Property `roles` (MQTT 5), which the gateway adds for `mqtt.roles: user-property`. */
  readonly roles: string | undefined;
}

export interface Broker {
  /** ws:// URL */
  readonly url: string;
  /** Emits `visit` with a BrokerVisit for every CONNECT. */
  readonly events: EventEmitter<{ visit: [BrokerVisit] }>;
  close(): Promise<void>;
}

/** An MQTT broker over WebSocket, in this process: aedes for 3.1.1, and a small front of our own for 5.0. */
export async function startBroker(): Promise<Broker> {
  const aedes = await Aedes.createBroker();
  const server = await listenLocally();
  const events: Broker['events'] = new EventEmitter();
  const sockets = new WebSocketServer({
    server: server.http,
    path: '/mqtt',
    // [MQTT-6.0.0-3], [MQTT-6.0.0-4]
    handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false),
  });
  sockets.on('connection', (socket: WebSocket) => {
    serve(socketStream(socket), aedes, (visit) => events.emit('visit', visit));
  });

  return {
    url: `ws://${server.address}/mqtt`,
    events,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      await server.close();
    },
  };
}

/** Reads the CONNECT to learn the version, then hands the stream to the side that speaks it. */
function serve(stream: Duplex, aedes: Aedes, announce: (visit: BrokerVisit) => void): void {
  const parser = packetParser();
  const early: Buffer[] = [];
  const feed = (chunk: Buffer): void => {
    early.push(chunk);
    parser.parse(chunk);
  };
  stream.on('data', feed);
  parser.on('error', () => stream.destroy());
  parser.once('packet', (packet: Packet) => {
    if (packet.cmd !== 'connect') {
      stream.destroy();
      return;
    }
    announce(visitOf(packet));
    stream.off('data', feed);
    if (packet.protocolVersion === 5) {
      // Packets behind the CONNECT in the same chunk come out of the parser after this handler.
      stream.on('data', (chunk: Buffer) => parser.parse(chunk));
      serveMqttFive(stream, parser, packet.clientId, aedes);
    } else {
      parser.removeAllListeners('packet');
      stream.pause();
      stream.unshift(Buffer.concat(early));
      aedes.handle(stream);
    }
  });
}

function visitOf(packet: IConnectPacket): BrokerVisit {
  const roles = packet.properties?.userProperties?.roles;
  return {
    clientId: packet.clientId,
    version: packet.protocolVersion === 5 ? '5.0' : '3.1.1',
    roles: Array.isArray(roles) ? roles.join(',') : roles,
  };
}
