import assert from 'node:assert/strict';
import { mqtt } from '../../internal/protocol/mqtt.js';
import type { FirstBytes, Greeting } from '../../internal/protocol/protocol.js';

type Text = string | Buffer;

/** What a hand-built CONNECT says; every part can be made wrong on purpose. */
export interface ConnectParts {
  level?: number;
  name?: Text;
  flags?: number;
  keepAlive?: number;
  /** The body of the properties; given for level 5 only, empty by default. */
  properties?: Buffer;
  clientId?: Text;
  will?: { topic: Text; payload: Text; properties?: Buffer };
  userName?: Text;
  password?: Text;
  trailing?: Buffer;
}

export const LIMIT_BYTES = 65_536;

export function field(text: Text): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.of(...bytes, rest);
    bytes.push((rest % 128) + 128);
  }
}

export function userProperty(name: Text, value: Text): Buffer {
  return Buffer.concat([Buffer.of(0x26), field(name), field(value)]);
}

function section(...properties: Buffer[]): Buffer {
  const body = Buffer.concat(properties);
  return Buffer.concat([varint(body.length), body]);
}

/** A packet around a body, its length right. */
export function packet(body: Buffer, firstByte = 0x10): Buffer {
  return Buffer.concat([Buffer.of(firstByte), varint(body.length), body]);
}

export function connectBody(parts: ConnectParts = {}): Buffer {
  const level = parts.level ?? 4;
  const isVersion5 = level === 5;
  const flags =
    parts.flags ??
    0x02 |
      (parts.will === undefined ? 0 : 0x04) |
      (parts.userName === undefined ? 0 : 0x80) |
      (parts.password === undefined ? 0 : 0x40);
  const keepAlive = parts.keepAlive ?? 60;
  const fields = [
    field(parts.name ?? ((level & 0x7f) === 3 ? 'MQIsdp' : 'MQTT')),
    Buffer.of(level, flags, keepAlive >> 8, keepAlive & 0xff),
    ...(isVersion5 ? [section(parts.properties ?? Buffer.alloc(0))] : []),
    field(parts.clientId ?? 'client-1'),
  ];
  if (parts.will !== undefined) {
    if (isVersion5) fields.push(section(parts.will.properties ?? Buffer.alloc(0)));
    fields.push(field(parts.will.topic), field(parts.will.payload));
  }
  if (parts.userName !== undefined) fields.push(field(parts.userName));
  if (parts.password !== undefined) fields.push(field(parts.password));
  if (parts.trailing !== undefined) fields.push(parts.trailing);
  return Buffer.concat(fields);
}

export function connect(parts: ConnectParts = {}): Buffer {
  return packet(connectBody(parts));
}

export function read(bytes: Buffer, limitBytes = LIMIT_BYTES): FirstBytes {
  return mqtt.read(bytes, limitBytes);
}

/** The greeting of a packet that must be well-formed. */
export function greeting(bytes: Buffer, limitBytes = LIMIT_BYTES): Greeting {
  const result = read(bytes, limitBytes);
  assert.equal(result.verdict, 'ready', result.verdict === 'malformed' ? result.why : result.verdict);
  assert.ok(result.verdict === 'ready');
  return result.greeting;
}

/** Asserts that a packet is refused as a bad CONNECT without a word in MQTT. */
export function assertBadConnect(bytes: Buffer, why: RegExp): void {
  const result = read(bytes);
  assert.equal(result.verdict, 'malformed');
  assert.ok(result.verdict === 'malformed');
  assert.equal(result.reason, 'badConnect');
  assert.match(result.why, why);
  assert.equal(result.reply, undefined);
}
