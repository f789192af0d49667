/** Any key but zero: a proxy that unmasks has the work it has with browsers. */
const MASKING_KEY = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** The bit of a frame's first byte that says its message is compressed. */
export const RSV1 = 0x40;

/** A masked binary message of a client (RFC 6455 §5.2). */
export function clientMessage(payloadBytes: number): Buffer {
  return clientFrame(0x2, Buffer.alloc(payloadBytes, 'x'));
}

export function clientText(text: Buffer): Buffer {
  return clientFrame(0x1, text);
}

/** A masked text message, compressed beforehand (RFC 7692 §7.2.1): RSV1 is set. */
export function clientDeflatedText(compressed: Buffer): Buffer {
  return clientFrame(RSV1 | 0x1, compressed);
}

/** Close frame with code 1000. */
export function clientClose(): Buffer {
  return clientFrame(0x8, Buffer.from([0x03, 0xe8]));
}

export function clientPong(): Buffer {
  return clientFrame(0xa, Buffer.alloc(0));
}

/** @param opcode with RSV1 where the payload is compressed. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const header = frameHeader(opcode, payload.length);
  header[1] = (header[1] ?? 0) | 0x80;
  const masked = payload.map((byte, at) => byte ^ (MASKING_KEY[at % 4] ?? 0));
  return Buffer.concat([header, MASKING_KEY, masked]);
}

/** Header of a final, unmasked frame. */
export function frameHeader(opcode: number, payloadBytes: number): Buffer {
  const first = 0x80 | opcode;
  if (payloadBytes < 126) return Buffer.from([first, payloadBytes]);
  if (payloadBytes < 65_536) return Buffer.from([first, 126, payloadBytes >> 8, payloadBytes & 0xff]);
  const header = Buffer.alloc(10);
  header[0] = first;
  header[1] = 127;
  header.writeUIntBE(payloadBytes, 4, 6);
  return header;
}

/** Bytes of a frame's header, given its second byte. */
function headerBytes(second: number): number {
  const length = second & 0x7f;
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
}

/** Follows frames in a stream cut anywhere; looks at headers only. */
export abstract class FrameReader {
  readonly #header = Buffer.alloc(14);
  #headerLength = 0;
  #left = 0;
  #first = 0;

  /** The header of a frame is complete: its first byte, and its masking key, if it has one. */
  protected onFrame?(first: number, payloadBytes: number, key: Buffer): void;
  /** Payload of the current frame: a view, valid during the call. */
  protected onPayload?(part: Buffer): void;
  /** The last byte of a frame has come. */
  protected abstract onFrameEnd(opcode: number, final: boolean): void;

  read(chunk: Buffer, end = chunk.length): void {
    let at = 0;
    while (at < end) {
      if (this.#left === 0) {
        at = this.#readHeader(chunk, at, end);
        if (this.#headerLength !== 0 || this.#left !== 0) continue;
        this.#endFrame();
        continue;
      }
      const take = Math.min(this.#left, end - at);
      this.onPayload?.(chunk.subarray(at, at + take));
      at += take;
      this.#left -= take;
      if (this.#left === 0) this.#endFrame();
    }
  }

  #endFrame(): void {
    this.onFrameEnd(this.#first & 0x0f, (this.#first & 0x80) !== 0);
  }

  /** @returns where the header ends; `#headerLength` is 0 when it is complete. */
  #readHeader(chunk: Buffer, start: number, end: number): number {
    const header = this.#header;
    let at = start;
    while (at < end) {
      header[this.#headerLength++] = chunk[at++] ?? 0;
      if (this.#headerLength < 2 || this.#headerLength < headerBytes(header[1] ?? 0)) continue;
      this.#finishHeader(header);
      break;
    }
    return at;
  }

  #finishHeader(header: Buffer): void {
    const second = header[1] ?? 0;
    const short = second & 0x7f;
    this.#first = header[0] ?? 0;
    this.#left = short === 126 ? header.readUInt16BE(2) : short === 127 ? header.readUIntBE(4, 6) : short;
    const keyAt = this.#headerLength - 4;
    this.#headerLength = 0;
    this.onFrame?.(this.#first, this.#left, header.subarray(keyAt, keyAt + 4));
  }
}
