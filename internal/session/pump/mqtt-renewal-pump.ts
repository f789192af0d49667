import type { CloseReasonKey } from '../../close-codes.js';
import {
  AUTH,
  CONNACK,
  connackWithMethod,
  DISCONNECT_CODES,
  disconnect,
  readReauthentication,
  reauthenticated,
} from '../../protocol/mqtt-auth.js';
import { MqttStream } from '../../protocol/mqtt-stream.js';
import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';
import type { ClientSocket } from '../client-socket.js';
import type { RenewalOutcome } from '../renewal.js';
import { PausingPump } from './pausing-pump.js';
import type { PumpOptions, PumpOwner } from './pump.js';

/** The owner of the pump, which takes further tokens. */
export interface RenewableOwner extends PumpOwner {
  renew(token: string): Promise<RenewalOutcome>;
}

const NOTHING = Buffer.alloc(0);

/** MQTT reason codes of the gateway's own close reasons; the broker's own DISCONNECT passes as it is. */
const CODES: Partial<Record<CloseReasonKey, number>> = {
  mqttTextFrame: DISCONNECT_CODES.malformedPacket,
  badConnect: DISCONNECT_CODES.protocolError,
  clientProtocolError: DISCONNECT_CODES.protocolError,
  renewalRefused: DISCONNECT_CODES.notAuthorized,
  tokenExpired: DISCONNECT_CODES.notAuthorized,
  authUnavailable: DISCONNECT_CODES.serverBusy,
  shutdown: DISCONNECT_CODES.shuttingDown,
  clientIdle: DISCONNECT_CODES.keepAliveTimeout,
  messageTooBig: DISCONNECT_CODES.packetTooLarge,
  rateLimited: DISCONNECT_CODES.rateTooHigh,
  tokenRevoked: DISCONNECT_CODES.administrative,
  banned: DISCONNECT_CODES.administrative,
  closedByAdmin: DISCONNECT_CODES.administrative,
};

/**
 * A pump for MQTT 5.0 clients that authenticate by the method `jwt` (SPEC section 24): AUTH is between
 * them and the gateway, the broker knows nothing of it. All other packets pass byte for byte, though not
 * always in the same messages.
 */
export class MqttRenewalPump extends PausingPump {
  readonly #fromClient = new MqttStream();
  readonly #fromBroker = new MqttStream();
  /** The pieces of an AUTH that have come. */
  #auth: Buffer[] = [];
  #authBytes = 0;
  #isAsking: boolean = false;
  /** Whether another AUTH came meanwhile: too soon, as it is told after the answer to the first. */
  #isTooSoon: boolean = false;
  /** The pieces of the CONNACK that have come; undefined: it has passed. */
  #connack: Buffer[] | undefined = [];
  #connackBytes = 0;
  /** An answer that waits for the end of a broker's packet. */
  #due: Buffer | undefined;
  /** Whether a message of the broker is under way in fragments: no other may begin (RFC 6455 §5.4). */
  #isMidMessage: boolean = false;
  #isOver: boolean = false;

  /** @param method the authentication method, as the client spells it. */
  constructor(
    override readonly owner: RenewableOwner,
    client: ClientSocket,
    upstream: UpstreamConnection,
    options: PumpOptions,
    readonly method: string,
  ) {
    super(owner, client, upstream, options);
  }

  protected override forUpstream(payload: Uint8Array): Uint8Array | undefined {
    const passing: Uint8Array[] = [];
    let from = 0;
    for (const { type, start, end, ends } of this.#fromClient.pieces(payload)) {
      if (type !== AUTH) continue;
      if (start > from) passing.push(payload.subarray(from, start));
      from = end;
      this.#takeAuth(Buffer.from(payload.subarray(start, end)), ends);
      if (this.#isOver) return undefined;
    }
    if (from === 0) return payload;
    if (from < payload.length) passing.push(payload.subarray(from));
    return passing.length === 0 ? undefined : Buffer.concat(passing);
  }

  #takeAuth(piece: Buffer, ends: boolean): void {
    this.#auth.push(piece);
    this.#authBytes += piece.length;
    if (this.#authBytes > this.config.maxConnectBytes) return this.#leave('renewalRefused');
    if (!ends) return undefined;
    const token = readReauthentication(Buffer.concat(this.#auth), this.method);
    this.#auth = [];
    this.#authBytes = 0;
    if (token === undefined) return this.#leave('renewalRefused');
    this.#isTooSoon = this.#isAsking;
    if (this.#isTooSoon) return undefined;
    this.#isAsking = true;
    void this.owner.renew(token).then(({ kind }) => {
      this.#isAsking = false;
      if (kind !== 'renewed')
        return this.#leave(kind === 'unavailable' ? 'authUnavailable' : 'renewalRefused');
      this.#say(reauthenticated(this.method));
      if (this.#isTooSoon) this.#leave('renewalRefused');
    });
    return undefined;
  }

  #say(packet: Buffer): void {
    if (this.#isOver) return;
    if (this.#mayBegin) super.onUpstreamMessage(packet, true);
    else this.#due = packet;
  }

  /** MQTT 5.0 §4.12.1: a client whose re-authentication fails is disconnected. */
  #leave(why: 'renewalRefused' | 'authUnavailable'): void {
    if (!this.#isOver) this.owner.close(why);
  }

  /** MQTT 5.0 §4.13.1. In the middle of a packet no DISCONNECT can be sent. */
  override finalMessage(reason: CloseReasonKey): Buffer | undefined {
    const { [reason]: code } = CODES;
    return code === undefined || !this.#mayBegin || this.clientSaidGoodbye ? undefined : disconnect(code);
  }

  /** Whether a packet of the gateway's own can go to the client now. */
  get #mayBegin(): boolean {
    return this.#connack === undefined && this.#fromBroker.between && !this.#isMidMessage;
  }

  override onUpstreamMessage(payload: Buffer, isBinary: boolean): void {
    for (const part of isBinary ? this.#forClient(payload) : [payload])
      super.onUpstreamMessage(part, isBinary);
  }

  override onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    this.#isMidMessage = position !== 'last';
    const parts = isBinary ? this.#forClient(payload) : [payload];
    // A piece of which nothing passes yet still counts as one, for the fragments of its message.
    if (parts.length === 0) parts.push(NOTHING);
    parts.forEach((part, at) => {
      const isFirst = position === 'first' && at === 0;
      const isLast = position === 'last' && at === parts.length - 1;
      super.onUpstreamFragment(part, isBinary, isFirst ? 'first' : isLast ? 'last' : 'middle');
    });
  }

  /** The broker's bytes that pass, with the gateway's own packets between two of the broker's. */
  #forClient(payload: Buffer): Buffer[] {
    const parts: Buffer[] = [];
    let from = 0;
    if (this.#connack === undefined && this.#fromBroker.between) this.#sayDue(parts);
    for (const { type, start, end, ends } of this.#fromBroker.pieces(payload)) {
      if (this.#connack !== undefined) {
        this.#takeConnack(payload.subarray(start, end), type, ends, parts);
        from = end;
      }
      if (!ends || this.#due === undefined || this.#connack !== undefined) continue;
      if (end > from) parts.push(payload.subarray(from, end));
      this.#sayDue(parts);
      from = end;
    }
    if (from < payload.length) parts.push(payload.subarray(from));
    return parts;
  }

  /** The broker's first packet is the CONNACK [MQTT-3.2.0-1]; whatever else it is passes. */
  #takeConnack(piece: Buffer, type: number, ends: boolean, parts: Buffer[]): void {
    const held = this.#connack ?? [];
    // Valid during the call only.
    held.push(Buffer.from(piece));
    this.#connackBytes += piece.length;
    if (type === CONNACK && !ends && this.#connackBytes <= this.config.maxConnectBytes) return;
    this.#connack = undefined;
    const packet = Buffer.concat(held);
    parts.push(type === CONNACK && ends ? connackWithMethod(packet, this.method) : packet);
  }

  #sayDue(parts: Buffer[]): void {
    if (this.#due !== undefined) parts.push(this.#due);
    this.#due = undefined;
  }

  override release(): void {
    this.#isOver = true;
    super.release();
  }
}
