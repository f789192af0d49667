import { isOwnHeader } from './own-headers.js';
import { ownText } from './own-text.js';

/** What becomes of a client's header of that name on its way to an upstream, unless a rule says otherwise. */
type Passage = 'ours' | 'authorization' | 'cookie' | 'passes';

export interface HeaderName {
  readonly lower: string;
  /** As servers read it that make variables of header names: `x-user-id` for X_User.Id. */
  readonly alike: string;
  readonly passage: Passage;
}

/** Names a process meets; any client can bring new ones. */
const MAX_KNOWN = 1_000;

const known = new Map<string, HeaderName>();

/** What is known of a header name, in any case: the same few come with every request. */
export function headerName(name: string): HeaderName {
  const found = known.get(name);
  if (found !== undefined) return found;
  const own = ownText(name);
  const lower = own.toLowerCase();
  const alike = alikeName(lower);
  const made: HeaderName = { lower, alike, passage: passageOf(lower, alike) };
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(own, made);
  return made;
}

/** @param name in lower case. */
export function alikeName(name: string): string {
  return name.replaceAll(/[^a-z\d]/g, '-');
}

function passageOf(lower: string, alike: string): Passage {
  if (lower === 'authorization') return 'authorization';
  if (lower === 'cookie') return 'cookie';
  return isOwnHeader(lower) || alike === 'x-real-ip' || alike === 'forwarded' ? 'ours' : 'passes';
}
