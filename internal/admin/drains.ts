import { invalid, readParameters } from './parameters.js';
import { invalidPayload, member, missing, parsePayload, textMember } from './payload.js';

/** What POST /admin/drains asks for. */
export interface DrainOrder {
  /** Name of the endpoint in GET /admin/upstreams. */
  readonly upstream: string;
  /** Whether sessions and exchanges on it are ended, too. */
  readonly close: boolean;
}

export interface DrainResult extends DrainOrder {
  /** Whether it has been written to a store. */
  readonly persisted: boolean;
}

/**
 * The body of POST /admin/drains: `{"upstream", "close"?}`.
 * @throws AdminRefusal 400
 */
export function readDrain(body: Buffer): DrainOrder {
  const payload = parsePayload(body);
  const upstream = textMember(payload, 'upstream');
  const close = member(payload, 'close') ?? false;
  if (upstream === undefined) throw missing('upstream');
  if (typeof close !== 'boolean') throw invalidPayload('close must be true or false');
  return { upstream, close };
}

/** The endpoint that a query names. @throws AdminRefusal 400 */
export function readUpstream(query: string): string {
  const upstream = readParameters(query, ['upstream']).get('upstream');
  if (upstream === undefined) throw invalid('upstream is required');
  return upstream;
}
