import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import type { Protocol } from '../config/config.js';

/** Whether the bytes so far are of a protocol: certainly, certainly not, or it takes more to tell. */
export type Sniff = 'match' | 'no' | 'more';

/** Why a client is refused before its session is open, as far as a protocol tells these apart. */
export type RefusalKind = 'authentication' | 'unavailable';

/** How the roles of the identity reach the broker (`mqtt.roles` of a route). */
export type RolesMode = 'none' | 'user-property' | 'username';

/** The outcome of reading a client's first bytes. */
export type FirstBytes =
  | { readonly verdict: 'more' }
  | {
      readonly verdict: 'malformed';
      readonly reason: CloseReasonKey;
      /** For the log. */
      readonly why: string;
      /** The answer of the protocol itself, sent before the close frame. */
      readonly reply: Buffer | undefined;
    }
  | { readonly verdict: 'ready'; readonly greeting: Greeting };

/** A complete first packet or message. */
export interface Greeting {
  /** The token it carries, if any; it need not have the shape of one. */
  readonly token: string | undefined;
  /** Length of the greeting in the input; what follows is data. */
  readonly length: number;
  /** Whether the greeting was for the gateway only and is not forwarded. */
  readonly consumed: boolean;
  /** Where the token was found, for people; absent: in the usual place of the protocol. */
  readonly tokenPlace?: string;
  /**
   * The authentication method by which the client can send further tokens in the session, as it spelled it
   * (MQTT 5.0 §4.12); undefined: the protocol has none, or the client did not ask for it.
   */
  readonly renewalMethod?: string | undefined;
  /**
   * The greeting with roles added; undefined: forward the bytes as received.
   * @param dropsMethod whether to remove `renewalMethod` and its token.
   */
  withRoles(roles: readonly string[], mode: RolesMode, dropsMethod?: boolean): Buffer | undefined;
  /** The greeting without its token; undefined: forward the bytes as received. */
  withoutToken(): Buffer | undefined;
  /** The answer of the protocol itself, sent before the close frame; undefined: none. */
  refusal(kind: RefusalKind): Buffer | undefined;
}

/** Finds packets in what a client sends, for protocols whose packets need not be WebSocket messages. */
export interface PacketWalker {
  /** Connection requests (MQTT CONNECT) so far; more than one is a protocol error. */
  readonly connects: number;
  /** Whether a packet was malformed, so that the boundaries of those after it are not known. */
  readonly malformed: boolean;
  /** Whether the client has sent the protocol's own packet for leaving (MQTT DISCONNECT). */
  readonly disconnected: boolean;
  /**
   * Reads the next bytes, from `from` up to `to`.
   * @param key masking key (RFC 6455 §5.3), first byte most significant; 0: none.
   * @param phase index of the byte of the key that masks the first one.
   * @returns how many packets begin there that count against the rate limit.
   */
  walk(bytes: Uint8Array, from: number, to: number, key?: number, phase?: number): number;
}

/**
 * One protocol the gateway recognises. Pure: bytes in, verdict out. Adding a protocol is one file here and
 * one line in the list of `protocols.ts`.
 */
export interface ProtocolAdapter {
  readonly protocol: Protocol;
  /** Sub-protocols that identify this protocol; one of them is selected in the 101. */
  readonly subprotocols: readonly string[];
  /** The usual place of the token in a greeting, for people. */
  readonly tokenPlace: string;
  /** Whether text frames may appear in a session of this protocol. */
  readonly allowsText: boolean;
  /** Whether the gateway's own answers in this protocol are text messages. */
  readonly saysText: boolean;
  /** A close code of the protocol for a refusal before the session opens; undefined: that of the table. */
  closesWith(reason: CloseReasonKey): CloseCode | undefined;
  /** The answer to a client that has sent no greeting; absent: the protocol has no such answer. */
  refusal?(kind: RefusalKind): Buffer;
  /**
   * A walker over a client's packets, if the rate limit counts these; undefined: it counts WebSocket
   * messages.
   */
  packets(): PacketWalker | undefined;
  /** Whether the first bytes of a client are of this protocol. */
  sniff(bytes: Uint8Array): Sniff;
  /**
   * Reads the greeting out of everything received so far.
   * @param bytes must not change while the greeting is in use, as it refers to them.
   * @param limitBytes MAX_CONNECT_BYTES: a packet that announces more is refused before it has come.
   * @param readBytes how many of them it has read before and answered `more`. They need not be searched again
   *   when a client sends byte by byte.
   */
  read(bytes: Buffer, limitBytes: number, readBytes?: number): FirstBytes;
}
