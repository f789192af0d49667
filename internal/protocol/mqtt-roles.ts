import { roleList } from '../claim-text.js';
import { CONNECT_TYPE, type Connect, USER_NAME_FLAG } from './mqtt-connect.js';
import { type Properties, USER_PROPERTY } from './mqtt-properties.js';
import { malformed } from './mqtt-reader.js';
import { encodeVarint, MAX_VARINT } from './mqtt-varint.js';
import type { RolesMode } from './protocol.js';

/** What a two-byte length can announce. */
const MAX_FIELD_BYTES = 65_535;

/** Separates the user name from the roles behind it. */
const BAR = '|';

const ROLES = Buffer.from('roles');

/**
 * The CONNECT with the roles of the verified identity in it, and without what the client itself claimed there: its
 * `roles` User Properties and, in `username` mode, whatever follows a `|` in its user name. That holds for an empty
 * list too. Everything else stays byte for byte, lengths apart; the will's properties belong to the will's message and
 * are left alone.
 * @returns undefined when the mode changes nothing: `none`, or `user-property` before MQTT 5.0, which has no properties.
 * @throws GatewayError ERR_CONNECT_MALFORMED when the roles do not fit: a string over 65,535 bytes, a packet over
 * 268,435,455. The client must be refused then, not forwarded without its roles.
 */
export function withRoles(connect: Connect, roles: readonly string[], mode: RolesMode): Buffer | undefined {
  if (mode === 'none') return undefined;
  if (mode === 'user-property' && connect.properties === undefined) return undefined;
  const { packet, bodyAt, flagsAt, properties, userNameAt, userNameEnd } = connect;
  const list = roleList(roles);
  const named = mode === 'username';

  const keepAliveAt = flagsAt + 1;
  const keepAliveEnd = keepAliveAt + 2;
  const body = [
    packet.subarray(bodyAt, flagsAt),
    Buffer.of(named ? connect.flags | USER_NAME_FLAG : connect.flags),
    packet.subarray(keepAliveAt, keepAliveEnd),
    ...(properties === undefined ? [] : replaceRoles(packet, properties, named ? undefined : list)),
    packet.subarray(properties?.end ?? keepAliveEnd, userNameAt),
    named ? userNameField(connect.userName, list) : packet.subarray(userNameAt, userNameEnd),
    packet.subarray(userNameEnd),
  ];
  return Buffer.concat([Buffer.of(CONNECT_TYPE), lengthOf(body), ...body]);
}

/** The properties section, its length first, with every `roles` User Property replaced by one, or by none. */
function replaceRoles(packet: Buffer, properties: Properties, list: string | undefined): Buffer[] {
  const kept: Buffer[] = [];
  let from = properties.start;
  for (const { name, start, end } of properties.userProperties) {
    if (!name.equals(ROLES)) continue;
    kept.push(packet.subarray(from, start));
    from = end;
  }
  kept.push(packet.subarray(from, properties.end));
  if (list !== undefined)
    kept.push(Buffer.of(USER_PROPERTY), stringField(ROLES), stringField(Buffer.from(list)));
  return [lengthOf(kept), ...kept];
}

function userNameField(userName: Buffer | undefined, list: string): Buffer {
  const own = userName ?? Buffer.alloc(0);
  const bar = own.indexOf(BAR);
  return stringField(Buffer.concat([bar < 0 ? own : own.subarray(0, bar), Buffer.from(BAR + list)]));
}

function stringField(text: Buffer): Buffer {
  if (text.length > MAX_FIELD_BYTES) {
    throw malformed(`with the roles a string would have ${text.length} bytes, over ${MAX_FIELD_BYTES}`);
  }
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([length, text]);
}

function lengthOf(parts: readonly Buffer[]): Buffer {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  if (total > MAX_VARINT) throw malformed(`with the roles a length would be ${total}, over ${MAX_VARINT}`);
  return encodeVarint(total);
}
