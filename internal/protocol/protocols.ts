import { graphql } from './graphql.js';
import { mqtt } from './mqtt.js';
import type { ProtocolAdapter } from './protocol.js';
import { raw } from './raw.js';
import { stomp } from './stomp.js';

/** Every protocol the gateway knows, in the order of recognition; the last one takes whatever is left. */
export const PROTOCOLS: readonly ProtocolAdapter[] = Object.freeze([mqtt, stomp, graphql, raw]);

/** A protocol recognised in the opening handshake, and the sub-protocol to select in the 101. */
export interface NegotiatedProtocol {
  readonly adapter: ProtocolAdapter;
  readonly subprotocol: string;
}

/**
 * The first sub-protocol offered that identifies a protocol of the list; undefined: none does. Names are
 * compared exactly (RFC 6455 §4.2.2: the value sent back is one the client sent).
 */
export function adapterForSubprotocol(offered: readonly string[]): NegotiatedProtocol | undefined {
  for (const subprotocol of offered) {
    const adapter = PROTOCOLS.find(({ subprotocols }) => subprotocols.includes(subprotocol));
    if (adapter !== undefined) return { adapter, subprotocol };
  }
  return undefined;
}

/** The protocol that a client's first bytes belong to; undefined: too few to tell. */
export function adapterForBytes(bytes: Uint8Array): ProtocolAdapter | undefined {
  for (const adapter of PROTOCOLS) {
    const sniff = adapter.sniff(bytes);
    if (sniff === 'match') return adapter;
    if (sniff === 'more') return undefined;
  }
  return undefined;
}
