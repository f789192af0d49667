import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import type { Protocol } from '../config/config.js';

/** What the bytes so far say about a protocol: it for sure, not it, or still possible. */
export type Sniff = 'match' | 'no' | 'more';

/** Why a client is refused before its session is open: what a protocol says before the close frame. */
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
      /** What the client is told in the protocol's own words before the close frame. */
      readonly reply: Buffer | undefined;
    }
  | { readonly verdict: 'ready'; readonly greeting: Greeting };

/** A complete first packet or message. */
export interface Greeting {
  /** The token it carries, if any: not yet checked for shape. */
  readonly token: string | undefined;
  /** Bytes of the input that are the greeting itself; what follows is data. */
  readonly length: number;
  /** Whether the greeting only served to authenticate and is not forwarded. */
  readonly consumed: boolean;
  /** Where the token is, for people, where that is not the protocol's usual place. */
  readonly tokenPlace?: string;
  /**
   * The authentication method by which the client can send further tokens in the session, in its own spelling
   * (MQTT 5.0 §4.12); undefined: its protocol has no such thing, or it does not ask for it.
   */
  readonly renewalMethod?: string | undefined;
  /**
   * The greeting with roles injected; undefined: forward the bytes as they came.
   * @param dropsMethod whether what belongs to `renewalMethod` is taken out, the token included.
   */
  withRoles(roles: readonly string[], mode: RolesMode, dropsMethod?: boolean): Buffer | undefined;
  /** The greeting without its token; undefined: forward the bytes as they came. */
  withoutToken(): Buffer | undefined;
  /** What the client is told in the protocol's own words before the close frame; undefined: nothing. */
  refusal(kind: RefusalKind): Buffer | undefined;
}

/** Follows what a client sends as its protocol's packets, where these need not be messages. */
export interface PacketWalker {
  /** First packets of a connection so far: more than one is a breach of most protocols. */
  readonly connects: number;
  /** Whether a packet makes no sense: where the next one begins nobody can say. */
  readonly malformed: boolean;
  /** Whether the client has said in the protocol's own words that it is leaving. */
  readonly disconnected: boolean;
  /**
   * Walks over the next bytes, those between `from` and `to`.
   * @param key masking key (RFC 6455 §5.3), first byte most significant; 0: none.
   * @param phase which byte of it is the first one's.
   * @returns how many packets begin there that count against a limit on messages.
   */
  walk(bytes: Uint8Array, from: number, to: number, key?: number, phase?: number): number;
}

/**
 * One protocol the gateway recognises. Pure: bytes in, verdict out. Adding a protocol is one file here and
 * one line in the list of `protocols.ts`.
 */
export interface ProtocolAdapter {
  readonly protocol: Protocol;
  /** Sub-protocols that mean this protocol and are selected at once. */
  readonly subprotocols: readonly string[];
  /** Where a greeting carries its token, for people. */
  readonly tokenPlace: string;
  /** Whether text frames may appear in a session of this protocol. */
  readonly allowsText: boolean;
  /** Whether what the gateway says in the protocol's own words is text. */
  readonly saysText: boolean;
  /** The protocol's own close code for a client refused before its session opens; undefined: the table's. */
  closesWith(reason: CloseReasonKey): CloseCode | undefined;
  /** What a client is told that has sent no greeting; left out: nothing, as all answers are to one. */
  refusal?(kind: RefusalKind): Buffer;
  /**
   * A walker over a client's packets, which are then the messages of the rate limit;
   * undefined: those of WebSocket are.
   */
  packets(): PacketWalker | undefined;
  /** Recognition on a prefix of the client's bytes. */
  sniff(bytes: Uint8Array): Sniff;
  /**
   * Reads the greeting out of everything received so far.
   * @param bytes must stay as they are while the greeting is in use: it looks into them.
   * @param limitBytes MAX_CONNECT_BYTES: a packet that announces more is refused before it has come.
   * @param readBytes how many of them it has been given before, with `more` for an answer: a client that
   *   sends byte by byte is not to have all of them searched each time.
   */
  read(bytes: Buffer, limitBytes: number, readBytes?: number): FirstBytes;
}
