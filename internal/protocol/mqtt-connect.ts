import { GatewayError } from '../errors.js';
import { CONNECT_PROPERTIES, type Properties, readProperties, WILL_PROPERTIES } from './mqtt-properties.js';
import { MqttReader, malformed } from './mqtt-reader.js';
import { isMinimal, type Varint } from './mqtt-varint.js';

/** First byte of a CONNECT: packet type 1, its four flag bits 0 [MQTT-2.2.2-1]. */
export const CONNECT_TYPE = 0x10;

/** 3: MQTT 3.1, 4: MQTT 3.1.1, 5: MQTT 5.0. */
type ProtocolLevel = 3 | 4 | 5;

/** Connect Flags (MQTT 3.1.1 §3.1.2.3). */
const RESERVED_FLAG = 0x01;
const WILL_FLAG = 0x04;
const WILL_QOS_FLAGS = 0x18;
const WILL_RETAIN_FLAG = 0x20;
const PASSWORD_FLAG = 0x40;
export const USER_NAME_FLAG = 0x80;

/** Valid pairs of protocol name and level. Bridges of Mosquitto set bit 0x80 of the level. */
const LEVELS: ReadonlyMap<string, ProtocolLevel> = new Map<string, ProtocolLevel>([
  ['MQIsdp 3', 3],
  ['MQIsdp 131', 3],
  ['MQTT 4', 4],
  ['MQTT 132', 4],
  ['MQTT 5', 5],
]);

/** A well-formed CONNECT: the packet and the offsets of its parts. Fields are views, nothing is copied. */
export interface Connect {
  readonly packet: Buffer;
  readonly level: ProtocolLevel;
  /** Offset of the variable header. */
  readonly bodyAt: number;
  readonly flags: number;
  readonly flagsAt: number;
  /** Properties of the CONNECT itself, not of its will; MQTT 5.0 only. */
  readonly properties: Properties | undefined;
  /** Start and end of the User Name field, length included; both where it would be if there is none. */
  readonly userNameAt: number;
  readonly userNameEnd: number;
  readonly userName: Buffer | undefined;
  readonly password: Buffer | undefined;
}

/**
 * Reads one whole CONNECT packet of any version and checks its structure to the last byte.
 * @param packet the whole packet
 * @param remainingLength the Remaining Length of its fixed header
 * @throws GatewayError ERR_CONNECT_VERSION for a protocol level the gateway does not know,
 *   ERR_CONNECT_MALFORMED for whatever breaks MQTT 3.1.1 §3.1 or MQTT 5.0 §3.1. Client identifiers and topics
 *   are left for the broker to check.
 */
export function readConnect(packet: Buffer, remainingLength: Varint): Connect {
  const bodyAt = 1 + remainingLength.length;
  const reader = new MqttReader(packet, bodyAt, packet.length);
  const level = readLevel(reader);
  // [MQTT-1.5.5-1]; MQTT 3.1.1 has no such rule.
  if (level === 5 && !isMinimal(remainingLength))
    throw malformed('Remaining Length not in its shortest form');

  const flagsAt = reader.at;
  const flags = readFlags(reader, level);
  reader.twoByteInteger('Keep Alive');
  const properties = level === 5 ? readProperties(reader, CONNECT_PROPERTIES, 'Properties') : undefined;
  reader.string('Client Identifier');
  if (flags & WILL_FLAG) {
    // MQTT 5.0 §3.1.3: the will's properties stand before its topic.
    if (level === 5) readProperties(reader, WILL_PROPERTIES, 'Will Properties');
    reader.string('Will Topic');
    reader.binary('Will Payload');
  }
  const userNameAt = reader.at;
  const userName = flags & USER_NAME_FLAG ? reader.string('User Name') : undefined;
  const userNameEnd = reader.at;
  const password = flags & PASSWORD_FLAG ? reader.binary('Password') : undefined;
  const left = reader.end - reader.at;
  if (left > 0) throw malformed(`${left} bytes behind the last field`);
  return { packet, level, bodyAt, flags, flagsAt, properties, userNameAt, userNameEnd, userName, password };
}

function readLevel(reader: MqttReader): ProtocolLevel {
  const name = reader.string('Protocol Name').toString('latin1');
  const announced = reader.byte('Protocol Level');
  const level = LEVELS.get(`${name} ${announced}`);
  if (level !== undefined) return level;
  throw new GatewayError('ERR_CONNECT_VERSION', `protocol level ${announced} is none of 3, 4, 5`);
}

function readFlags(reader: MqttReader, level: ProtocolLevel): number {
  const flags = reader.byte('Connect Flags');
  // [MQTT-3.1.2-3]
  if (flags & RESERVED_FLAG) throw malformed('the reserved connect flag is set');
  if (flags & WILL_FLAG) {
    // [MQTT-3.1.2-14]
    if ((flags & WILL_QOS_FLAGS) === WILL_QOS_FLAGS) throw malformed('Will QoS is 3');
  } else if (flags & (WILL_QOS_FLAGS | WILL_RETAIN_FLAG)) {
    // [MQTT-3.1.2-13], [MQTT-3.1.2-15]
    throw malformed('Will QoS or Will Retain without a will');
  }
  // [MQTT-3.1.2-22]; MQTT 5.0 §3.1.2.9 allows it.
  if (level < 5 && flags & PASSWORD_FLAG && !(flags & USER_NAME_FLAG)) {
    throw malformed('a password without a user name');
  }
  return flags;
}
