import type { UpstreamRoute } from '../../config.js';
import { quote } from '../../secrets.js';
import type { EntryOf } from '../schema.js';
import { placeholdersOf, targetedUpstream } from '../target-url.js';
import type { EntryContext, EntryFault } from './entry-context.js';

/** The endpoints of an entry and their weights, or how they are found by who is calling. */
export function whereTo(
  { upstream, health, renew }: EntryOf<'websocket'> | EntryOf<'http'>,
  { targets }: EntryContext,
  faults: EntryFault[],
): Pick<UpstreamRoute, 'upstreams' | 'weights' | 'target'> {
  const upstreams = upstream.map(({ url }) => url);
  const placeholders = upstreams.flatMap(placeholdersOf);
  const [url = ''] = upstreams;
  if (placeholders.length === 0) return { upstreams, weights: upstream.map(({ weight }) => weight) };
  if (upstream.length > 1)
    faults.push({ path: ['upstream'], message: 'must be one URL where a placeholder stands in it' });
  if (health !== undefined)
    faults.push({ path: ['health'], message: 'does not go with a placeholder: nobody knows what to check' });
  if (renew)
    faults.push({
      path: ['renew'],
      message: 'does not go with a placeholder in upstream: another token could name another one',
    });
  const unknown = placeholders.filter((name) => !targets.has(name));
  for (const name of unknown)
    faults.push({ path: ['upstream'], message: `${quote(`{${name}}`)} is none of the targets` });
  return { upstreams: [], weights: [], target: targetedUpstream(url, targets) };
}
