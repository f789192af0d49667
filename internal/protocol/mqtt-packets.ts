import type { PacketWalker } from './protocol.js';

/** Packet types in the upper half of a packet's first byte (MQTT 3.1.1 §2.2.1). */
const CONNECT = 1;
const PUBLISH = 3;
const DISCONNECT = 14;

/**
 * First bytes of packets that cost nothing, with the flags that they must have (MQTT 3.1.1 §2.2.2): CONNECT,
 * PUBACK, PUBREC, PUBREL (in MQTT 3.1 sent again, too), PUBCOMP, PINGREQ, DISCONNECT, AUTH.
 */
const FREE: ReadonlySet<number> = new Set([0x10, 0x40, 0x50, 0x62, 0x6a, 0x70, 0xc0, 0xe0, 0xf0]);

/** A Remaining Length of four bytes that announces a fifth (MQTT 3.1.1 §2.2.3). */
const MAX_SHIFT = 28;

/**
 * Follows a client's stream of packets by their fixed headers, however they lie in frames [MQTT-6.0.0-2]:
 * bodies are skipped. PUBLISH, SUBSCRIBE and UNSUBSCRIBE count, once each and where they begin; so does what
 * no client may send, or messages of another protocol would pass for packets that are free.
 */
export class MqttPackets implements PacketWalker {
  connects = 0;
  disconnected = false;
  /** Bytes of the packet's body still to come. */
  #skip = 0;
  /** Whether a Remaining Length is being read, what there is of it and where its next seven bits go. */
  #inLength: boolean = false;
  #length = 0;
  #shift = 0;
  /** No packet follows a malformed one: each piece of what does counts as one. */
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
    // Most packets are that: no look-up for them.
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
