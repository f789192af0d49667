import type { SchemaText } from '../config/config.js';
import { compiledSchemas } from '../config/schemas/compiled.js';
import type { UpstreamConnection } from '../upstream/websocket/connection.js';
import { CallPump } from './call-pump.js';
import type { ClientSocket } from './client-socket.js';
import { FramePump } from './frame-pump.js';
import { MessagePump } from './message-pump.js';
import type { Pump, PumpOptions, PumpOwner } from './pump.js';

/**
 * The pump for a session that opens: frames pass as they came where the client's connection can do that and no rule has to
 * see whole messages.
 * @param schemas of the session's route.
 */
export function pumpFor(
  owner: PumpOwner,
  client: ClientSocket,
  upstream: UpstreamConnection,
  options: PumpOptions,
  schemas: SchemaText | undefined,
): Pump {
  const calls = schemas === undefined || options.protocol !== 'raw' ? undefined : compiledSchemas(schemas);
  if (calls?.rpc !== undefined)
    return new CallPump(owner, client, upstream, options, { methods: calls.rpc, unknown: calls.unknown });
  if (client.frames !== undefined) return new FramePump(owner, client, client.frames, upstream, options);
  return new MessagePump(owner, client, upstream, options);
}
