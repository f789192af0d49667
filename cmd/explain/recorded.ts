import type { RefusalInfo } from '../../internal/admin/refusals.js';
import { fromUnknown } from '../../internal/errors.js';
import { UsageError } from '../line/command.js';
import { printable, relativeTime } from '../line/words.js';
import { AdminClient } from '../top/admin-client.js';
import { fixFor } from './fixes.js';

/**
 * What a running gateway remembers of a session that it turned away.
 * @param session its id: X-Session-Id of the 101, `session` in the log.
 * @throws UsageError
 */
export async function recordedRefusal(url: string, session: string): Promise<RefusalInfo> {
  const refusals = await listed(new AdminClient(url, '--admin'));
  const found = refusals.find((refusal) => refusal.session === session);
  if (found !== undefined) return found;
  throw new UsageError([
    `none of the last ${refusals.length} refusals at ${url} is of session ${JSON.stringify(session)}: was it let in, or turned away longer ago, or by another replica? The log has it by this id.`,
  ]);
}

async function listed(admin: AdminClient): Promise<readonly RefusalInfo[]> {
  try {
    return (await admin.json<{ readonly refusals: readonly RefusalInfo[] }>('/admin/refusals')).refusals;
  } catch (thrown) {
    throw new UsageError([fromUnknown(thrown).message]);
  }
}

/** The record for people, without its verdict. */
export function recordLines({ at, ip, protocol, method, path, route, sub }: RefusalInfo): string[] {
  const known = Object.entries({ from: ip, protocol, method, path, route, sub });
  return [
    `${at}${relativeTime(Date.parse(at))}`,
    ...known.flatMap(([name, value]) => (value === null ? [] : [`${name}: ${printable(value)}`])),
  ];
}

/** What became of it, and what to do about it. */
export function recordVerdict({ answer, reason, why }: RefusalInfo): {
  readonly verdict: string[];
  readonly fix: string[];
} {
  const fix = fixFor(answer, reason, why ?? undefined);
  return {
    verdict: [
      `refused: ${answer} (${printable(reason)})`,
      ...(why === null ? [] : [`why: ${printable(why)}`]),
    ],
    fix: fix === undefined ? [] : [fix],
  };
}
