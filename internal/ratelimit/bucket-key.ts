import { addressBlock } from '../request/client-key.js';
import { forLog } from '../telemetry/log/log.js';

/** The owner of the budget that a session spends: its subject, or on public routes its address. */
export interface LimitedClient {
  readonly kind: 'sub' | 'ip';
  readonly name: string;
}

/**
 * Subject "10.0.0.5" is not the address 10.0.0.5, and no scope or name can pose as another: what may hold any
 * character comes last or behind its length. A changed limit is a new budget.
 */
export function bucketKey(client: LimitedClient, scope: string, perSecond: number, burst: number): string {
  const name = client.kind === 'ip' ? addressBlock(client.name) : client.name;
  // Joined it is one piece of text: a template keeps nine of 32 bytes, as long as the client is there.
  return [client.kind, perSecond, burst, scope.length, scope, name].join(':');
}

/** A key of `bucketKey`, readable for logs. */
export function limitNamed(key: string): string {
  const [, kind, perSecond, burst, length] = /^(sub|ip):([^:]+):([^:]+):(\d+):/.exec(key) ?? [];
  const rest = key.slice(`${kind}:${perSecond}:${burst}:${length}:`.length);
  const scope = rest.slice(0, Number(length));
  const name = rest.slice(Number(length) + 1);
  const what = scope === 'b' ? 'bytes' : scope === 'm' ? 'messages' : `messages on ${scope.slice(1)}`;
  return `${perSecond} ${what} a second, ${burst} at once, of ${kind === 'ip' ? 'address' : 'sub'} ${forLog(name)}`;
}
