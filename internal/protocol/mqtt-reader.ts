import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors.js';
import { isMinimal, readVarint } from './mqtt-varint.js';

/** An ERR_CONNECT_MALFORMED; `why` names fields and numbers, never the content of a field. */
export function malformed(why: string): GatewayError {
  return new GatewayError('ERR_CONNECT_MALFORMED', why);
}

/**
 * Reads the fields of one packet one after the other, never past `end`: a field whose length exceeds what is
 * left is malformed. Fields are returned as views. Every method throws GatewayError ERR_CONNECT_MALFORMED.
 */
export class MqttReader {
  constructor(
    private readonly bytes: Buffer,
    /** Offset in `bytes` of the next field. */
    public at: number,
    public readonly end: number,
  ) {}

  byte(field: string): number {
    return this.bytes.readUInt8(this.#take(1, field));
  }

  twoByteInteger(field: string): number {
    return this.bytes.readUInt16BE(this.#take(2, field));
  }

  fourByteInteger(field: string): number {
    return this.bytes.readUInt32BE(this.#take(4, field));
  }

  /** Binary Data: two bytes of length, then as many bytes (MQTT 5.0 §1.5.6). */
  binary(field: string): Buffer {
    const length = this.twoByteInteger(field);
    const start = this.#take(length, field);
    return this.bytes.subarray(start, this.at);
  }

  /** A UTF-8 Encoded String, still as bytes. U+FEFF is a character like any other [MQTT-1.5.4-3]. */
  string(field: string): Buffer {
    const text = this.binary(field);
    // [MQTT-1.5.4-1]: well-formed, which rules out surrogates, overlong forms and what is above U+10FFFF.
    if (!isUtf8(text)) throw malformed(`${field} is not well-formed UTF-8`);
    // [MQTT-1.5.4-2]
    if (text.includes(0)) throw malformed(`${field} holds U+0000`);
    return text;
  }

  /** A reader for a section with its own length (MQTT 5.0 properties); this one continues after it. */
  section(field: string): MqttReader {
    const length = readVarint(this.bytes.subarray(0, this.end), this.at);
    if (typeof length === 'string') throw malformed(`${field}: bad length`);
    // [MQTT-1.5.5-1]
    if (!isMinimal(length)) throw malformed(`${field}: length not in its shortest form`);
    this.#take(length.length, field);
    const start = this.#take(length.value, field);
    return new MqttReader(this.bytes, start, this.at);
  }

  /** Moves over `count` bytes and returns where they start. */
  #take(count: number, field: string): number {
    const start = this.at;
    const left = this.end - start;
    if (count > left) throw malformed(`${field} wants ${count} bytes where ${left} are left`);
    this.at = start + count;
    return start;
  }
}
