import { type MqttReader, malformed } from './mqtt-reader.js';

/** The type of a property; `flag` is a byte of 0 or 1, the positive types exclude 0. */
type PropertyType =
  | 'flag'
  | 'twoByte'
  | 'positiveTwoByte'
  | 'fourByte'
  | 'positiveFourByte'
  | 'string'
  | 'binary'
  | 'pair';

interface PropertyRule {
  readonly name: string;
  readonly type: PropertyType;
}

/** The properties allowed in one section, by identifier. All identifiers of MQTT 5.0 fit in one byte. */
export type PropertyRules = ReadonlyMap<number, PropertyRule>;

export const USER_PROPERTY = 0x26;
export const AUTHENTICATION_METHOD = 0x15;
export const AUTHENTICATION_DATA = 0x16;

/** MQTT 5.0 §3.1.2.11. */
export const CONNECT_PROPERTIES: PropertyRules = new Map<number, PropertyRule>([
  [0x11, { name: 'Session Expiry Interval', type: 'fourByte' }],
  [AUTHENTICATION_METHOD, { name: 'Authentication Method', type: 'string' }],
  [AUTHENTICATION_DATA, { name: 'Authentication Data', type: 'binary' }],
  [0x17, { name: 'Request Problem Information', type: 'flag' }],
  [0x19, { name: 'Request Response Information', type: 'flag' }],
  [0x21, { name: 'Receive Maximum', type: 'positiveTwoByte' }],
  [0x22, { name: 'Topic Alias Maximum', type: 'twoByte' }],
  [USER_PROPERTY, { name: 'User Property', type: 'pair' }],
  [0x27, { name: 'Maximum Packet Size', type: 'positiveFourByte' }],
]);

/** MQTT 5.0 §3.1.3.2. */
export const WILL_PROPERTIES: PropertyRules = new Map<number, PropertyRule>([
  [0x01, { name: 'Payload Format Indicator', type: 'flag' }],
  [0x02, { name: 'Message Expiry Interval', type: 'fourByte' }],
  [0x03, { name: 'Content Type', type: 'string' }],
  [0x08, { name: 'Response Topic', type: 'string' }],
  [0x09, { name: 'Correlation Data', type: 'binary' }],
  [0x18, { name: 'Will Delay Interval', type: 'fourByte' }],
  [USER_PROPERTY, { name: 'User Property', type: 'pair' }],
]);

/** Offsets of a property in its packet, identifier included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

interface UserProperty extends Span {
  readonly name: Buffer;
}

interface Field extends Span {
  readonly value: Buffer;
}

/** A valid properties section. */
export interface Properties {
  /** Offsets of the section, without its length; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
  readonly userProperties: readonly UserProperty[];
  /** Authentication Method and Authentication Data (MQTT 5.0 §4.12). */
  readonly authenticationMethod: Field | undefined;
  readonly authenticationData: Field | undefined;
}

/**
 * Reads and checks a whole properties section, in one pass.
 * @throws GatewayError ERR_CONNECT_MALFORMED
 */
export function readProperties(packet: MqttReader, rules: PropertyRules, field: string): Properties {
  const reader = packet.section(field);
  const start = reader.at;
  const seen = new Set<number>();
  const fields = new Map<number, Field>();
  const userProperties: UserProperty[] = [];
  while (reader.at < reader.end) {
    const from = reader.at;
    const identifier = reader.byte(field);
    const rule = rules.get(identifier);
    if (rule === undefined) throw malformed(`${field}: no property ${identifier} here`);
    if (rule.type === 'pair') {
      const name = reader.string(rule.name);
      reader.string(rule.name);
      userProperties.push({ start: from, end: reader.at, name });
      continue;
    }
    // MQTT 5.0 §2.2.2.2 and the text of each property: only the User Property may be repeated.
    if (seen.has(identifier)) throw malformed(`${rule.name} is there twice`);
    seen.add(identifier);
    const value = readValue(reader, rule);
    if (identifier === AUTHENTICATION_METHOD || identifier === AUTHENTICATION_DATA)
      fields.set(identifier, { start: from, end: reader.at, value });
  }
  // MQTT 5.0 §3.1.2.11.10
  if (seen.has(AUTHENTICATION_DATA) && !seen.has(AUTHENTICATION_METHOD)) {
    throw malformed('Authentication Data without Authentication Method');
  }
  return {
    start,
    end: reader.end,
    userProperties,
    authenticationMethod: fields.get(AUTHENTICATION_METHOD),
    authenticationData: fields.get(AUTHENTICATION_DATA),
  };
}

const NUMBER = Buffer.alloc(0);

/** @returns the content of a text or binary property. */
function readValue(reader: MqttReader, { name, type }: PropertyRule): Buffer {
  switch (type) {
    case 'flag':
      if (reader.byte(name) > 1) throw malformed(`${name} is neither 0 nor 1`);
      return NUMBER;
    case 'positiveTwoByte':
      if (reader.twoByteInteger(name) === 0) throw malformed(`${name} is 0`);
      return NUMBER;
    case 'positiveFourByte':
      if (reader.fourByteInteger(name) === 0) throw malformed(`${name} is 0`);
      return NUMBER;
    case 'twoByte':
      reader.twoByteInteger(name);
      return NUMBER;
    case 'fourByte':
      reader.fourByteInteger(name);
      return NUMBER;
    case 'string':
      return reader.string(name);
    default:
      return reader.binary(name);
  }
}
