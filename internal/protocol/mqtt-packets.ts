import type { PacketWalker } from './protocol.js';

/** Packet types, the upper four bits of a packet's first byte (MQTT 3.1.1 §2.2.1). */
const CONNECT = 1;
const PUBLISH = 3;
const DISCONNECT = 14;

/**
 * First bytes, type and flags (MQTT 3.1.1 §2.2.2), of packets that the rate limit does not count: CONNECT,
 * PUBACK, PUBREC, PUBREL (also as repeated in MQTT 3.1), PUBCOMP, PINGREQ, DISCONNECT, AUTH.
 */
const FREE: ReadonlySet<number> = new Set([0x10, 0x40, 0x50, 0x62, 0x6a, 0x70, 0xc0, 0xe0, 0xf0]);

/** Shift beyond the fourth and last byte of a Remaining Length (MQTT 3.1.1 §2.2.3). */
const MAX_SHIFT = 28;

/**
 * Follows a client's stream of packets by their fixed headers, however frames divide it [MQTT-6.0.0-2];
 * bodies are skipped. PUBLISH, SUBSCRIBE and UNSUBSCRIBE are counted, each once, where it begins. So is
 * whatever a client may not send: else messages of another protocol could pass for packets that are free.
 */
export class MqttPackets implements PacketWalker {
  connects = 0;
  disconnected = false;
  /** Bytes of the packet's body still to come. */
  #skip = 0;
  /** Whether a Remaining Length is being read, its value so far, and the shift of its next seven bits. */
  #inLength: boolean = false;
  #length = 0;
  #shift = 0;
  /** After a malformed packet no boundaries are known: each piece that follows counts as one packet. */
  malformed: boolean = false;

  walk(bytes: Uint8Array, from: number, to: number, key = 0, phase = 0): number {
    if (this.malformed) return 1;
    let counted = 0;
    let at = from;
    while (at < to) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, to - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      // RFC 6455 §5.3
      const byte = (bytes[at] ?? 0) ^ ((key >>> (24 - 8 * ((phase + at - from) & 3))) & 0xff);
      at++;
      if (!this.#inLength) {
        if (this.#begin(byte)) counted++;
      } else if (!this.#readLength(byte)) return counted + 1;
    }
    return counted;
  }

  /** @returns whether the packet counts. */
  #begin(first: number): boolean {
    const type = first >>> 4;
    this.#inLength = true;
    this.#length = 0;
    this.#shift = 0;
    if (type === CONNECT) this.connects++;
    else if (type === DISCONNECT) this.disconnected = true;
    // Most packets are PUBLISH: no look-up for them.
    return type === PUBLISH || !FREE.has(first);
  }

  /** @returns false when it is too long. */
  #readLength(byte: number): boolean {
    this.#length |= (byte & 0x7f) << this.#shift;
    this.#shift += 7;
    if (byte < 0x80) {
      this.#inLength = false;
      this.#skip = this.#length;
      return true;
    }
    this.malformed = this.#shift === MAX_SHIFT;
    return !this.malformed;
  }
}
