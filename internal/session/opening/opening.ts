import type { Arrival } from '../../access/arrival.js';
import type { OpeningTrace } from '../../telemetry/traces/opening-trace.js';

/**
 * The sub-protocols that a 101 may select, the likeliest first: those that the client offered beside its
 * token, or else the name that announced the token, as browsers fail a 101 that selects none of what they
 * offered.
 */
export function selectable({ subprotocols, announced }: Opening): readonly string[] {
  const name = announced?.name;
  return name === undefined || subprotocols.length > 0 ? subprotocols : [name];
}

/**
 * The sub-protocol of a 101 if nothing else has selected one: for clients that offered a token, as browsers
 * need one selected.
 * @param chosen whether an upstream was offered the others and chose none: then none of those is selected.
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
