/** Shift beyond the fourth and last byte of a Remaining Length (MQTT 5.0 §1.5.5). */
const MAX_SHIFT = 28;

/** A packet, or the part of one that is in the given bytes. */
export interface PacketPiece {
  /** Packet type, the upper four bits of the first byte (MQTT 5.0 §2.1.2). */
  readonly type: number;
  readonly start: number;
  readonly end: number;
  /** Whether the packet ends with it. */
  readonly ends: boolean;
}

/**
 * Splits a stream of packets at their boundaries, however WebSocket messages divide it [MQTT-6.0.0-2]; bodies
 * are not read.
 */
export class MqttStream {
  #at: 'start' | 'length' | 'body' = 'start';
  #type = 0;
  #left = 0;
  #shift = 0;

  /** Whether the next byte begins a packet. */
  get between(): boolean {
    return this.#at === 'start';
  }

  /** The pieces of the next bytes, in order and without gaps. A malformed packet never ends. */
  *pieces(bytes: Uint8Array): Generator<PacketPiece> {
    for (let start = 0; start < bytes.length; ) {
      const end = this.#goOn(bytes, start);
      yield { type: this.#type, start, end, ends: this.between };
      start = end;
    }
  }

  /** Up to the end of the packet or of the bytes. */
  #goOn(bytes: Uint8Array, from: number): number {
    let at = from;
    if (this.#at === 'start') {
      this.#at = 'length';
      this.#type = (bytes[at++] ?? 0) >>> 4;
      this.#left = 0;
      this.#shift = 0;
    }
    while (this.#at === 'length' && at < bytes.length) this.#readLength(bytes[at++] ?? 0);
    if (this.#at !== 'body') return at;
    const taken = Math.min(this.#left, bytes.length - at);
    this.#left -= taken;
    if (this.#left === 0) this.#at = 'start';
    return at + taken;
  }

  #readLength(byte: number): void {
    this.#left += (byte & 0x7f) * 2 ** this.#shift;
    this.#shift += 7;
    if (byte < 0x80) this.#at = this.#left === 0 ? 'start' : 'body';
    else if (this.#shift === MAX_SHIFT) {
      this.#left = Number.POSITIVE_INFINITY;
      this.#at = 'body';
    }
  }
}
