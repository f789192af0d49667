import { randomUUID } from 'node:crypto';
import { readTraceContext, type TraceContext } from '../telemetry/traces/trace-context.js';
import { canonicalIp } from './address.js';
import { AddressList } from './address-list.js';
import type { HeaderLines } from './head.js';
import { headerText } from './header-text.js';
import { ownText } from './own-text.js';

/** The client of a request, by X-Forwarded-* headers of trusted proxies. */
export interface Client {
  /** Address in canonical text form, IPv4-mapped IPv6 as IPv4. */
  readonly ip: string;
  /** Likewise, of the TCP peer itself. */
  readonly peer: string;
  readonly proto: 'http' | 'https';
  /**
   * Whether `proto` is known, by our own TLS or from a trusted peer: otherwise there may be TLS in front of
   * us.
   */
  readonly isProtoKnown: boolean;
  /** Host and port the client asked for. */
  readonly host: string;
  readonly requestId: string;
  /** Of a trusted peer. */
  readonly traceContext: TraceContext | undefined;
}

/**
 * Longest chain of proxies that is followed, as a client can send any number of addresses that are trusted.
 */
const MAX_HOPS = 32;

const SAFE_REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;
const SAFE_HOST = /^(?:[\w.-]{1,255}|\[[\da-fA-F:.]{2,45}\])(?::\d{1,5})?$/;

/** Whether the request id came from a trusted peer; otherwise it was made here. */
export function isGivenRequestId(requestId: string, headers: HeaderLines): boolean {
  return headers.get('x-request-id')?.[0] === requestId;
}

/** Believes X-Forwarded-* of the peers it is told to trust, and of nobody else. */
export class TrustedProxies {
  readonly #trusted: AddressList;

  /** @param entries addresses or CIDRs, already validated. */
  constructor(entries: readonly string[]) {
    this.#trusted = new AddressList(entries);
  }

  trusts(ip: string): boolean {
    return this.#trusted.has(ip);
  }

  /** @param peer the TCP peer's address, @param secure whether it came over TLS. */
  client(peer: string, secure: boolean, headers: HeaderLines): Client {
    const ownProto = secure ? 'https' : 'http';
    const ownHost = headerText(headers.get('host')?.[0] ?? '');
    const peerIp = canonicalIp(peer) ?? peer;
    if (!this.trusts(peerIp)) {
      const requestId = randomUUID();
      return {
        ip: peerIp,
        peer: peerIp,
        proto: ownProto,
        isProtoKnown: secure,
        host: ownHost,
        requestId,
        traceContext: undefined,
      };
    }
    const requestId = headers.get('x-request-id')?.[0] ?? '';
    const proto = protoNamed(firstOf(headers, 'x-forwarded-proto'));
    const host = firstOf(headers, 'x-forwarded-host');
    return {
      peer: peerIp,
      ip: this.#rightmostUntrusted(peerIp, headers.get('x-forwarded-for') ?? []),
      proto: proto ?? ownProto,
      isProtoKnown: secure || proto !== undefined,
      host: SAFE_HOST.test(host) ? host : ownHost,
      requestId: SAFE_REQUEST_ID.test(requestId) ? ownText(requestId) : randomUUID(),
      traceContext: readTraceContext(headers),
    };
  }

  /**
   * Each trusted hop vouches for the one before it; the walk ends at the first nobody vouches for. A hop that
   * hides whom it forwards for (`unknown`, RFC 7239 §6.2) vouches for nobody: what stands before is its
   * client's word.
   */
  #rightmostUntrusted(peer: string, lines: readonly string[]): string {
    const all = lines.join(',');
    let ip = peer;
    let end = all.length;
    for (let hops = 0; end >= 0 && hops < MAX_HOPS; hops++) {
      // With 0, `lastIndexOf` would find the comma that was found before.
      const comma = end === 0 ? -1 : all.lastIndexOf(',', end - 1);
      const element = all.slice(comma + 1, end).trim();
      end = comma;
      // RFC 9110 §5.6.1.2.
      if (element === '') continue;
      const hop = canonicalIp(unquoted(element));
      if (hop === undefined) return ip;
      // Addresses are remembered here and elsewhere, by the ten thousand.
      ip = ownText(hop);
      if (!this.trusts(ip)) return ip;
    }
    return ip;
  }
}

/** RFC 7239 §6: an address in brackets stands in quotes; some write X-Forwarded-For likewise. */
function unquoted(element: string): string {
  return /^"([^"\\]*)"$/.exec(element)?.[1] ?? element;
}

function protoNamed(text: string): 'http' | 'https' | undefined {
  switch (text.toLowerCase()) {
    case 'https':
    case 'wss':
      return 'https';
    case 'http':
    case 'ws':
      return 'http';
    default:
      return undefined;
  }
}

/** The first element of a list header (RFC 9110 §5.3: of all of its lines) that is not empty. */
function firstOf(headers: HeaderLines, name: string): string {
  return /[^,\s][^,]*/.exec(headers.get(name)?.join(',') ?? '')?.[0].trimEnd() ?? '';
}
