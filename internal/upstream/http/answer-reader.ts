import type { FlatHeaders } from '../../request/flat-headers.js';
import { type AnswerHead, BadAnswer, pushFieldLine, readAnswerHead } from './answer-head.js';

/** Largest head of an answer, interim ones before it included, and largest trailer section, in bytes. */
const MAX_HEAD_BYTES = 65_536;
/** Longest line before a chunk, in bytes, its extensions included, which are ignored (RFC 9112 §7.1.1). */
const MAX_SIZE_LINE_BYTES = 4_096;

/**
 * RFC 9112 §7.1: up to 2^52 bytes. Its extensions (§7.1.1) are ignored, but may hold nothing that could be
 * read as the end of the line.
 */
const CHUNK_SIZE =
  /^([\da-f]{1,13})(?:;[!#$%&'*+\-.^_`|~\da-z]+(?:=(?:[!#$%&'*+\-.^_`|~\da-z]+|"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/i;

/** Refused as trailers (RFC 9110 §6.5.1): a reader that believed them would take more bytes for the body. */
const SAYS_LENGTH: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

const NOTHING = Buffer.alloc(0);
const NO_TRAILERS: FlatHeaders = [];
const LF = 0x0a;
const CR = 0x0d;

/** Receives an answer piece by piece. */
export interface AnswerParts {
  answerHead(head: AnswerHead): void;
  /** @param chunk lent: right until this returns. */
  answerBytes(chunk: Buffer): void;
  /** @param isLast whether nothing came behind it, so that the connection can be used again. */
  answerEnd(trailers: FlatHeaders, isReusable: boolean): void;
}

/** What is read next. */
type State = 'nothing' | 'head' | 'body' | 'close' | 'size' | 'chunk' | 'chunk-end' | 'trailers';

/**
 * Parses the answers of one connection, one after the other, however reads cut them (RFC 9112 §4 to §7).
 * Bytes that two readers could take for different answers are refused.
 */
export class AnswerReader {
  #state: State = 'nothing';
  /** Whether the present answer is to a HEAD. */
  #isHead: boolean = false;
  /** The incomplete head or line that has come so far. */
  #held: Buffer = NOTHING;
  /** How many of the present bytes were held, and searched, before. */
  #known = 0;
  /** Bytes of body, or of a chunk, that are to come. */
  #left = 0;
  #isPersistent: boolean = false;
  #trailers: FlatHeaders = NO_TRAILERS;
  /** Bytes of interim heads, or of trailers, so far. */
  #lengthSoFar = 0;

  constructor(readonly parts: AnswerParts) {}

  /** A request is sent, whose answer comes next. */
  expect(method: string): void {
    this.#state = 'head';
    this.#isHead = method === 'HEAD';
    this.#lengthSoFar = 0;
  }

  /** @param received lent. @throws BadAnswer */
  read(received: Buffer): void {
    let bytes = received;
    this.#known = this.#held.length;
    if (this.#known > 0) {
      bytes = Buffer.concat([this.#held, received]);
      this.#held = NOTHING;
    }
    for (let at = 0; at < bytes.length; ) at = this.#step(bytes, at);
  }

  /**
   * The upstream has ended its side. @returns whether the answer ends by that; if so, the listener has been
   * told.
   */
  ended(): boolean {
    if (this.#state !== 'close') return false;
    this.#end(NO_TRAILERS, false);
    return true;
  }

  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'nothing':
        throw new BadAnswer('bytes that answer nothing');
      case 'head':
        return this.#readHead(bytes, at);
      case 'body':
      case 'chunk':
        return this.#readSized(bytes, at);
      case 'close':
        this.parts.answerBytes(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case 'size':
        return this.#readLine(bytes, at, MAX_SIZE_LINE_BYTES, (line) => this.#chunk(line));
      case 'chunk-end':
        return this.#readLine(bytes, at, 2, (line) => {
          if (line !== '') throw new BadAnswer('a chunk is longer than it says');
          this.#state = 'size';
        });
      case 'trailers':
        return this.#readTrailer(bytes, at);
    }
  }

  #readHead(bytes: Buffer, at: number): number {
    // Otherwise a long head that comes byte by byte would be searched as often as it has bytes.
    const from = at === 0 ? Math.max(0, this.#known - 3) : at;
    const end = bytes.indexOf('\r\n\r\n', from, 'latin1');
    const length = (end < 0 ? bytes.length : end + 4) - at;
    if (this.#lengthSoFar + length > MAX_HEAD_BYTES) throw new BadAnswer('its head is too long');
    if (end < 0) {
      if (
        !'HTTP/1.'.startsWith(bytes.toString('latin1', at, at + 7)) ||
        /[^\r]\n/.test(bytes.toString('latin1', from))
      )
        throw new BadAnswer('it is not HTTP/1.1');
      return this.#hold(bytes, at);
    }
    const head = readAnswerHead(bytes.toString('latin1', at, end));
    const next = end + 4;
    // RFC 9110 §15.2: a proxy may drop interim responses that were not asked for.
    if (head.status >= 200) this.#begin(head, next === bytes.length);
    else if (!head.isPersistent) throw new BadAnswer('what comes behind an interim answer cannot come');
    else this.#lengthSoFar += length;
    return next;
  }

  #begin(head: AnswerHead, isLast: boolean): void {
    this.#isPersistent = head.isPersistent;
    this.parts.answerHead(head);
    // RFC 9112 §6.3
    const { length, status } = head;
    if (length === 0) return this.#end(NO_TRAILERS, isLast);
    if (this.#isHead || status === 204 || status === 304) {
      // Some upstreams send a body all the same: coming after the next request was sent, it would be taken
      // for its answer.
      this.#isPersistent &&= !this.#isHead && length === undefined;
      return this.#end(NO_TRAILERS, isLast);
    }
    this.#state = length === 'chunked' ? 'size' : length === undefined ? 'close' : 'body';
    this.#left = typeof length === 'number' ? length : 0;
  }

  #readSized(bytes: Buffer, at: number): number {
    const next = Math.min(bytes.length, at + this.#left);
    this.#left -= next - at;
    this.parts.answerBytes(bytes.subarray(at, next));
    if (this.#left > 0) return next;
    if (this.#state === 'chunk') this.#state = 'chunk-end';
    else if (this.#state === 'body') this.#end(NO_TRAILERS, next === bytes.length);
    return next;
  }

  #chunk(line: string): void {
    const [, size] = CHUNK_SIZE.exec(line) ?? [];
    if (size === undefined) throw new BadAnswer('what should be the size of a chunk is none');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left > 0 ? 'chunk' : 'trailers';
    this.#lengthSoFar = 0;
    this.#trailers = [];
  }

  #readTrailer(bytes: Buffer, at: number): number {
    return this.#readLine(bytes, at, MAX_HEAD_BYTES - this.#lengthSoFar, (line, next) => {
      this.#lengthSoFar += next - at;
      if (line === '') this.#end(this.#trailers, next === bytes.length);
      else if (SAYS_LENGTH.has(pushFieldLine(this.#trailers, line, 0, line.length)))
        throw new BadAnswer('its trailers say how long it is');
    });
  }

  /** @returns where it goes on. */
  #readLine(bytes: Buffer, at: number, limit: number, take: (line: string, next: number) => void): number {
    const end = bytes.indexOf(LF, at);
    const next = end < 0 ? bytes.length : end + 1;
    if (next - at > limit) throw new BadAnswer('a line of its body is too long');
    if (end < 0) return this.#hold(bytes, at);
    // RFC 9112 §2.2 allows a lone LF as the end of a line, but the reader of what we pass on may not.
    if (bytes[end - 1] !== CR || end === at) throw new BadAnswer('a line of its body has no CR');
    take(bytes.toString('latin1', at, end - 1), next);
    return next;
  }

  #hold(bytes: Buffer, at: number): number {
    // What was held before is a copy already.
    this.#held = at === 0 && this.#known > 0 ? bytes : Buffer.from(bytes.subarray(at));
    return bytes.length;
  }

  #end(trailers: FlatHeaders, isLast: boolean): void {
    this.#state = 'nothing';
    this.parts.answerEnd(trailers, isLast && this.#isPersistent);
  }
}
