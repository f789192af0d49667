import type { RedisClient } from './redis-connection.js';

/** Written by every check: only a write shows that the server is no replica and not out of memory. */
export const PROBE_KEY = '{ws:revocations}:probe';

/** A command that a part of the gateway runs, in a form that changes nothing. */
export interface RedisNeed {
  readonly command: readonly [name: string, ...args: (string | number)[]];
  /** The keys or the channel it is for, as an ACL would grant them; undefined: none. */
  readonly on?: string;
}

/** What a part of the gateway needs Redis for. */
export interface RedisPart {
  /** In log lines. */
  readonly name: string;
  readonly needs: readonly RedisNeed[];
}

/** A right that is missing, as log lines name it: `rate limits: TIME`, `bans: ZADD {ws:bans}:*`. */
export function missingRight(part: RedisPart['name'], command: string, on?: string): string {
  return on === undefined ? `${part}: ${command}` : `${part}: ${command} ${on}`;
}

/**
 * Whether a failure says that the server's access rules (ACL) do not let this user do a thing. Inside of
 * scripts Redis 7 says it in two ways, neither of them with a code of its own.
 */
export function isRefusal(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    /^NOPERM|ACL failure in script|user executing the script can't/.test(thrown.message)
  );
}

/** The rights that `part` lacks. @throws whatever else goes wrong with the connection. */
export async function missingRights(client: RedisClient, part: RedisPart): Promise<readonly string[]> {
  const missing = await Promise.all(
    part.needs.map(async ({ command: [name, ...args], on }) => {
      try {
        await client.call(name, ...args);
      } catch (thrown) {
        if (isRefusal(thrown)) return [missingRight(part.name, name, on)];
        // Any other reply is an answer to a command that was let through, as NOSCRIPT is.
        if (!(thrown instanceof Error && thrown.name === 'ReplyError')) throw thrown;
      }
      return [];
    }),
  );
  return missing.flat();
}
