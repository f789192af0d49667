import type { Arrival } from '../../access/arrival.js';
import type { OpeningTrace } from '../../telemetry/traces/opening-trace.js';

/**
 * What a 101 may select, the likeliest first: what the client offered beside its token, or the name that
 * announced it, as browsers take no 101 that selects none of what they offered.
 */
export function selectable({ subprotocols, announced }: Opening): readonly string[] {
  const name = announced?.name;
  return name === undefined || subprotocols.length > 0 ? subprotocols : [name];
}

/**
 * What a 101 selects where nothing else does: of clients that offered a token, as they wait for
 * something to be selected.
 * @param chosen whether an upstream was asked to choose, and chose none: what it was
 *   offered is not selected then.
 */
export function selectedForToken(opening: Opening, chosen: boolean): string | undefined {
  const { announced } = opening;
  if (announced === undefined) return undefined;
  return chosen ? announced.name : selectable(opening)[0];
}

/** Everything a session needs to know of its opening handshake. */
export interface Opening extends Arrival {
  /** undefined: tracing is off. */
  readonly trace?: OpeningTrace;
}
