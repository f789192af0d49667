import type { CloseReasonKey } from '../../close-codes.js';
import type { Greeting, ProtocolAdapter } from '../../protocol/protocol.js';
import { adapterForBytes } from '../../protocol/protocols.js';
import { raw } from '../../protocol/raw.js';

/** What a client's first bytes are found to be. */
export type FirstBytesOutcome =
  | { readonly verdict: 'more' }
  | {
      readonly verdict: 'refused';
      readonly adapter: ProtocolAdapter | undefined;
      readonly reason: CloseReasonKey;
      /** For the log. */
      readonly why: string;
      readonly reply: Buffer | undefined;
    }
  | {
      readonly verdict: 'ready';
      readonly adapter: ProtocolAdapter;
      readonly greeting: Greeting;
      /** All bytes received: the greeting, and what followed it in the same frame. */
      readonly bytes: Buffer;
      /** The type of the message that completed it. */
      readonly isBinary: boolean;
    };

const MORE: FirstBytesOutcome = Object.freeze({ verdict: 'more' });

/**
 * Collects a client's first messages until they tell the protocol and hold its whole greeting (SPEC section
 * 5): a CONNECT may be split over any number of frames.
 */
export class FirstBytesReader {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Bytes, and one for each empty message: the number of both is bounded. */
  #taken = 0;

  /**
   * @param negotiated the protocol known by the sub-protocol; undefined: the bytes decide.
   * @param subprotocol the one selected in the 101.
   */
  constructor(
    readonly negotiated: ProtocolAdapter | undefined,
    readonly subprotocol: string | undefined,
    readonly limitBytes: number,
  ) {}

  /** How much of `limitBytes` is used. */
  get takenBytes(): number {
    return this.#taken;
  }

  /** Takes one message; `payload` is copied. */
  add(payload: Uint8Array, isBinary: boolean): FirstBytesOutcome {
    this.#taken += Math.max(1, payload.length);
    if (this.#taken > this.limitBytes) {
      return refused(this.negotiated, 'messageTooBig', 'more than MAX_CONNECT_BYTES before authentication');
    }
    const readBytes = this.#length;
    this.#append(payload);
    const bytes = this.#buffer.subarray(0, this.#length);
    const adapter = this.negotiated ?? adapterForBytes(bytes) ?? (isBinary ? undefined : raw);
    if (adapter === undefined) return MORE;
    // [MQTT-6.0.0-1]: a text frame is never part of a CONNECT.
    if (!isBinary && !adapter.allowsText) return refused(adapter, 'mqttTextFrame', 'CONNECT in a text frame');
    const first = adapter.read(bytes, this.limitBytes, readBytes);
    switch (first.verdict) {
      case 'more':
        return MORE;
      case 'malformed':
        return { verdict: 'refused', adapter, reason: first.reason, why: first.why, reply: first.reply };
      case 'ready':
        return { verdict: 'ready', adapter, greeting: first.greeting, bytes, isBinary };
    }
  }

  /** The buffer grows by doubling, so that a CONNECT that comes byte by byte costs linear time. */
  #append(payload: Uint8Array): void {
    const length = this.#length + payload.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#buffer.set(payload, this.#length);
    this.#length = length;
  }
}

function refused(
  adapter: ProtocolAdapter | undefined,
  reason: CloseReasonKey,
  why: string,
): FirstBytesOutcome {
  return { verdict: 'refused', adapter, reason, why, reply: undefined };
}
