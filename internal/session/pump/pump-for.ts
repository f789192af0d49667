import type { UpstreamRoute } from '../../config/config.js';
import { compiledSchemas } from '../../config/schemas/compiled.js';
import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import type { ClientSocket } from '../client-socket.js';
import { AnsweringPump } from './answering-pump.js';
import { FramePump } from './frame-pump.js';
import { MessagePump } from './message-pump.js';
import { callRule, type MessageRule, renewalRule } from './message-rules.js';
import type { MqttRenewalPump, RenewableOwner } from './mqtt-renewal-pump.js';
import type { Pump, PumpOptions } from './pump.js';

/** Renewal of a session by packets of the client's own protocol, and the code for it. */
export interface RenewalByAuth {
  readonly method: string;
  readonly Pump: typeof MqttRenewalPump;
}

/** Loaded on first use, as most processes never need it. */
export async function renewalByAuth(method: string): Promise<RenewalByAuth> {
  const { MqttRenewalPump: Pump } = await import('./mqtt-renewal-pump.js');
  return { method, Pump };
}

/**
 * The pump for a session: frames pass as they come if the client's socket can do that and no rule has to see
 * whole messages.
 */
export function pumpFor(
  owner: RenewableOwner,
  client: ClientSocket,
  upstream: UpstreamConnection,
  options: PumpOptions,
  route: Pick<UpstreamRoute, 'schemas' | 'renew'>,
  renewal?: RenewalByAuth | undefined,
): Pump {
  if (renewal !== undefined) return new renewal.Pump(owner, client, upstream, options, renewal.method);
  const rules = options.protocol === 'raw' ? rulesOf(route, owner) : NONE;
  if (rules.length > 0) return new AnsweringPump(owner, client, upstream, options, rules);
  if (client.frames !== undefined) return new FramePump(owner, client, client.frames, upstream, options);
  return new MessagePump(owner, client, upstream, options);
}

const NONE: readonly MessageRule[] = Object.freeze([]);

/** Renewals come first, as they are no JSON-RPC calls. */
function rulesOf(
  { schemas, renew }: Pick<UpstreamRoute, 'schemas' | 'renew'>,
  owner: RenewableOwner,
): readonly MessageRule[] {
  const calls = schemas === undefined ? undefined : compiledSchemas(schemas);
  if (!renew && calls?.rpc === undefined) return NONE;
  const rules: MessageRule[] = [];
  if (renew) rules.push(renewalRule((token) => owner.renew(token)));
  if (calls?.rpc !== undefined) rules.push(callRule({ methods: calls.rpc, unknown: calls.unknown }));
  return rules;
}
