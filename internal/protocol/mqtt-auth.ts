import { generate, type Packet, parser } from 'mqtt-packet';
import { withoutBearer } from './bearer.js';
import { AUTHENTICATION_METHOD } from './mqtt-properties.js';
import { MqttReader } from './mqtt-reader.js';
import { encodeVarint, readVarint } from './mqtt-varint.js';

/** Packet types (MQTT 5.0 §2.1.2). */
export const CONNACK = 2;
export const AUTH = 15;

/** MQTT 5.0 §3.15.2.1. */
const SUCCESS = 0x00;
const RE_AUTHENTICATE = 0x19;

/** Why a client is disconnected (MQTT 5.0 §3.14.2.1). */
export const DISCONNECT_CODES = Object.freeze({
  malformedPacket: 0x81,
  protocolError: 0x82,
  notAuthorized: 0x87,
  serverBusy: 0x89,
  shuttingDown: 0x8b,
  keepAliveTimeout: 0x8d,
  packetTooLarge: 0x95,
  rateTooHigh: 0x96,
  administrative: 0x98,
});

const VERSION = { protocolVersion: 5 } as const;

/**
 * The token in an AUTH packet for re-authentication (MQTT 5.0 §4.12.1).
 * @param packet the whole packet.
 * @param method of its CONNECT; another one must not come [MQTT-4.12.1-1].
 * @returns undefined when the packet is anything else.
 */
export function readReauthentication(packet: Buffer, method: string): string | undefined {
  const read = parsed(packet);
  if (read?.cmd !== 'auth' || read.reasonCode !== RE_AUTHENTICATE) return undefined;
  // mqtt-packet makes an array of a property that comes twice.
  const given: unknown = read.properties?.authenticationMethod;
  const data: unknown = read.properties?.authenticationData;
  if (given !== method || !Buffer.isBuffer(data)) return undefined;
  return withoutBearer(data.toString('utf8'));
}

/** AUTH with reason code 0x00: the new token is in force. */
export function reauthenticated(method: string): Buffer {
  const properties = { authenticationMethod: method };
  return generate({ cmd: 'auth', reasonCode: SUCCESS, properties }, VERSION);
}

export function disconnect(reasonCode: number): Buffer {
  return generate({ cmd: 'disconnect', reasonCode }, VERSION);
}

/**
 * Adds to a broker's CONNACK the authentication method that the client asked for [MQTT-4.12.0-5], as the
 * broker never saw it. Refusals and other packets stay as they are.
 */
export function connackWithMethod(packet: Buffer, method: string): Buffer {
  const length = readVarint(packet, 1);
  if (packet.readUInt8(0) !== CONNACK << 4 || typeof length === 'string' || length.value < 3) return packet;
  const bodyAt = 1 + length.length;
  const propertiesAt = bodyAt + 2;
  if (packet.readUInt8(bodyAt + 1) >= 0x80) return packet;
  const properties = sectionAt(packet, propertiesAt);
  if (properties === undefined) return packet;
  const name = Buffer.from(method);
  const field = Buffer.alloc(3);
  field.writeUInt8(AUTHENTICATION_METHOD);
  field.writeUInt16BE(name.length, 1);
  const changed = [field, name, packet.subarray(properties.at, properties.end)];
  const body = [packet.subarray(bodyAt, propertiesAt), lengthOf(changed), ...changed];
  return Buffer.concat([packet.subarray(0, 1), lengthOf(body), ...body]);
}

/** undefined: it is malformed; the client gets it as it is. */
function sectionAt(packet: Buffer, at: number): MqttReader | undefined {
  try {
    return new MqttReader(packet, at, packet.length).section('Properties');
  } catch {
    return undefined;
  }
}

function lengthOf(parts: readonly Buffer[]): Buffer {
  return encodeVarint(parts.reduce((sum, part) => sum + part.length, 0));
}

/** Parses the packet; undefined: it is malformed. */
function parsed(packet: Buffer): Packet | undefined {
  let found: Packet | undefined;
  let isBad = false;
  const reader = parser(VERSION);
  reader.on('packet', (each) => {
    found = each;
  });
  reader.on('error', () => {
    isBad = true;
  });
  try {
    reader.parse(packet);
  } catch {
    isBad = true;
  }
  return isBad ? undefined : found;
}
