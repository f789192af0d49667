import { isUtf8 } from 'node:buffer';
import { isValidOnWire } from './close-frame.js';
import { FIN, MASK, MAX_CONTROL_BYTES, OPCODE, Opcode, RSV } from './frame.js';

/** First two bytes and the longest length. */
const MAX_UNMASKED_HEADER_BYTES = 10;
const MASKING_KEY_BYTES = 4;

/** Of the RFC, after which nothing more is read. */
export interface Violation {
  readonly code: 1002 | 1007;
  readonly why: string;
}

/**
 * Why a frame cannot begin with these two bytes (RFC 6455 §5); undefined: it can.
 * @param inMessage whether a fragmented message is in progress.
 * @param masked whether frames of this peer have to be masked: a client's have to, a server's must not be.
 */
export function frameFault(
  first: number,
  second: number,
  inMessage: boolean,
  masked: boolean,
): string | undefined {
  if ((first & RSV) !== 0) return 'a reserved bit is set'; // RFC 6455 §5.2: no extension was negotiated
  // RFC 6455 §5.1
  if (((second & MASK) !== 0) !== masked) {
    return masked ? 'an unmasked frame from a client' : 'a masked frame from a server';
  }
  switch (first & OPCODE) {
    case Opcode.CONTINUATION:
      return inMessage ? undefined : 'a continuation of no message'; // RFC 6455 §5.4
    case Opcode.TEXT:
    case Opcode.BINARY:
      return inMessage ? 'a new message inside a message' : undefined; // RFC 6455 §5.4
    case Opcode.CLOSE:
    case Opcode.PING:
    case Opcode.PONG:
      if ((first & FIN) === 0) return 'a fragmented control frame'; // RFC 6455 §5.5
      return (second & ~MASK) > MAX_CONTROL_BYTES ? 'a control frame of more than 125 bytes' : undefined;
    default:
      return `an unknown opcode ${first & OPCODE}`;
  }
}

/** Bytes of the header at `at`, masking key included, as far as what is there of it tells. */
export function headerBytes(bytes: Buffer, at: number, end: number): number {
  if (end - at < 2) return 2;
  const second = bytes[at + 1] ?? 0;
  const short = second & ~MASK;
  const key = (second & MASK) === 0 ? 0 : MASKING_KEY_BYTES;
  if (short < 126) return 2 + key;
  return (short === 126 ? 4 : MAX_UNMASKED_HEADER_BYTES) + key;
}

/** Payload length of the complete header at `at`; below 0: see `lengthFault`. */
export function payloadLength(header: Buffer, at: number): number {
  const short = (header[at + 1] ?? 0) & ~MASK;
  if (short < 126) return short;
  if (short === 126) {
    const length = ((header[at + 2] ?? 0) << 8) | (header[at + 3] ?? 0);
    return length < 126 ? NOT_MINIMAL : length; // RFC 6455 §5.2
  }
  const high = header.readUInt32BE(at + 2);
  // The most significant bit must be 0; beyond 2^53 a number is no longer exact.
  if (high >= 2 ** 21) return TOO_LONG;
  const length = high * 2 ** 32 + header.readUInt32BE(at + 6);
  return length < 65_536 ? NOT_MINIMAL : length;
}

const NOT_MINIMAL = -1;
const TOO_LONG = -2;

export function lengthFault(length: number): string {
  return length === TOO_LONG ? 'a length of 2^53 or more' : 'a length that is not minimal';
}

/** What the payload of a close frame says (RFC 6455 §5.5.1, §7.4). */
export type CloseFrame =
  | {
      readonly valid: true;
      /** 1005: it has none (RFC 6455 §7.1.5). */
      readonly code: number;
      readonly reason: string;
    }
  | { readonly valid: false; readonly code: 1002 | 1007; readonly why: string };

export function readClose(payload: Buffer): CloseFrame {
  if (payload.length === 0) return { valid: true, code: 1005, reason: '' };
  const code = payload.length === 1 ? 0 : payload.readUInt16BE(0);
  if (!isValidOnWire(code)) return { valid: false, code: 1002, why: 'a close frame without a valid code' };
  if (!isUtf8(payload.subarray(2)))
    return { valid: false, code: 1007, why: 'a close reason that is not UTF-8' };
  return { valid: true, code, reason: payload.toString('utf8', 2) };
}
