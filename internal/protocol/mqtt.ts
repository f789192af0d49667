import { GatewayError } from '../errors.js';
import { withoutBearer } from './bearer.js';
import { CONNECT_TYPE, type Connect, readConnect } from './mqtt-connect.js';
import { MqttPackets } from './mqtt-packets.js';
import { withRoles } from './mqtt-roles.js';
import { readVarint } from './mqtt-varint.js';
import type { FirstBytes, Greeting, ProtocolAdapter, Sniff } from './protocol.js';

/** How the variable header of a CONNECT starts: MQTT 3.1.1 and 5.0, MQTT 3.1. */
const PROTOCOL_NAMES: readonly Buffer[] = [Buffer.from('\x00\x04MQTT'), Buffer.from('\x00\x06MQIsdp')];

/** Return codes of a CONNACK (MQTT 3.1.1 §3.2.2.3) and reason codes (MQTT 5.0 §3.2.2.2). */
const CONNACK_CODES = {
  version: { returnCode: 0x01, reasonCode: 0x84 },
  authentication: { returnCode: 0x05, reasonCode: 0x87 },
  unavailable: { returnCode: 0x03, reasonCode: 0x88 },
} as const;

/**
 * MQTT 3.1, 3.1.1 and 5.0: the session starts with one CONNECT, which can hold the token. A greeting refers
 * to the bytes given to `read`; they must not be overwritten while it is in use.
 */
export const mqtt: ProtocolAdapter = Object.freeze({
  protocol: 'mqtt',
  subprotocols: Object.freeze(['mqtt', 'mqttv3.1']),
  tokenPlace: 'MQTT password',
  // [MQTT-6.0.0-1]
  allowsText: false,
  saysText: false,
  closesWith: () => undefined,
  packets: () => new MqttPackets(),
  sniff,
  read,
});

function sniff(bytes: Uint8Array): Sniff {
  if (bytes.length === 0) return 'more';
  if (bytes[0] !== CONNECT_TYPE) return 'no';
  const length = readVarint(bytes, 1);
  if (length === 'more') return 'more';
  if (length === 'overlong') return 'no';
  const body = bytes.subarray(1 + length.length);
  // A packet too short for the protocol name and level is not a CONNECT of any version.
  const possible = PROTOCOL_NAMES.filter((name) => name.length < length.value && agree(name, body));
  if (possible.length === 0) return 'no';
  return possible.some((name) => body.length >= name.length) ? 'match' : 'more';
}

/** Whether one of the two is a prefix of the other. */
function agree(name: Buffer, body: Uint8Array): boolean {
  const length = Math.min(name.length, body.length);
  return name.subarray(0, length).equals(body.subarray(0, length));
}

function read(bytes: Buffer, limitBytes: number): FirstBytes {
  const remaining = bytes[0] === CONNECT_TYPE ? readVarint(bytes, 1) : 'more';
  const packetLength = typeof remaining === 'string' ? 0 : 1 + remaining.length + remaining.value;
  // By the length in its header, before anything else: bytes after it must not change the result.
  if (packetLength > limitBytes) {
    const why = `CONNECT announces ${packetLength} bytes, over the limit of ${limitBytes}`;
    return { verdict: 'malformed', reason: 'messageTooBig', why, reply: undefined };
  }
  if (sniff(bytes) === 'no') return badConnect('the first packet is not a CONNECT', undefined);
  if (typeof remaining === 'string') return { verdict: 'more' };
  if (bytes.length < packetLength) return { verdict: 'more' };
  const packet = bytes.subarray(0, packetLength);
  try {
    return { verdict: 'ready', greeting: greetingOf(readConnect(packet, remaining)) };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const reply =
      error.code === 'ERR_CONNECT_VERSION' ? wrongVersion(packet, 1 + remaining.length) : undefined;
    return badConnect(error.message, reply);
  }
}

function badConnect(why: string, reply: Buffer | undefined): FirstBytes {
  return { verdict: 'malformed', reason: 'badConnect', why, reply };
}

/** The authentication method whose data is a token; compared case-insensitively (SPEC section 24). */
const METHOD = 'jwt';

function greetingOf(connect: Connect): Greeting {
  const { authenticationMethod, authenticationData } = connect.properties ?? {};
  const method = authenticationMethod?.value.toString('utf8');
  const renewalMethod = method?.toLowerCase() === METHOD ? method : undefined;
  const data = renewalMethod === undefined ? undefined : textOf(authenticationData?.value);
  return {
    token: data ?? textOf(connect.password),
    ...(data === undefined ? {} : { tokenPlace: 'MQTT authentication data' }),
    renewalMethod,
    length: connect.packet.length,
    consumed: false,
    withoutToken: () => undefined,
    withRoles: (roles, mode, dropsMethod) => withRoles(connect, roles, mode, dropsMethod),
    refusal: (kind) => connack(kind, connect.level === 5),
  };
}

/** undefined: there is none, or it cannot be a token. */
function textOf(bytes: Buffer | undefined): string | undefined {
  return bytes && withoutBearer(bytes.toString('utf8'));
}

function connack(kind: keyof typeof CONNACK_CODES, isVersion5: boolean): Buffer {
  const { returnCode, reasonCode } = CONNACK_CODES[kind];
  // Session Present is 0 in every refusal [MQTT-3.2.2-4]; MQTT 5.0 adds the length of its (no) properties.
  return isVersion5 ? Buffer.of(0x20, 3, 0, reasonCode, 0) : Buffer.of(0x20, 2, 0, returnCode);
}

/** [MQTT-3.1.2-2]: for versions from 5 on in the form of MQTT 5.0, else of 3.1.1. */
function wrongVersion(packet: Buffer, bodyAt: number): Buffer {
  const levelAt = bodyAt + 2 + packet.readUInt16BE(bodyAt);
  const withoutBridgeBit = packet.readUInt8(levelAt) & 0x7f;
  return connack('version', withoutBridgeBit >= 5);
}
