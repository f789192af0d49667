import { roleList } from '../request/claim-text.js';
import { CONNECT_TYPE, type Connect, USER_NAME_FLAG } from './mqtt-connect.js';
import { type Properties, type Span, USER_PROPERTY } from './mqtt-properties.js';
import { malformed } from './mqtt-reader.js';
import { encodeVarint, MAX_VARINT } from './mqtt-varint.js';
import type { RolesMode } from './protocol.js';

/** The largest value of a two-byte length. */
const MAX_FIELD_BYTES = 65_535;

/** Separates the user name from the roles after it. */
const BAR = '|';

const ROLES = Buffer.from('roles');

/**
 * Puts the roles of the verified identity into a CONNECT and removes those that the client claimed itself:
 * its `roles` User Properties and, in `username` mode, whatever follows a `|` in its user name. They are
 * removed for an empty list of roles, too. Everything else stays byte for byte, except lengths; properties of
 * the will belong to its message and stay.
 * @param dropsMethod whether to remove Authentication Method and Authentication Data, which holds the token:
 *   the gateway authenticates, not the broker.
 * @returns undefined when nothing changes: the mode is `none`, or `user-property` before MQTT 5.0,
 *   which has no properties.
 * @throws GatewayError ERR_CONNECT_MALFORMED when the roles do not fit: a string over 65,535 bytes, a packet
 *   over 268,435,455. The client must be refused then, not forwarded without its roles.
 */
export function withRoles(
  connect: Connect,
  roles: readonly string[],
  mode: RolesMode,
  dropsMethod = false,
): Buffer | undefined {
  const injects = mode === 'username' || (mode === 'user-property' && connect.properties !== undefined);
  if (!injects && !dropsMethod) return undefined;
  const { packet, bodyAt, flagsAt, properties, userNameAt, userNameEnd } = connect;
  const list = roleList(roles);
  const named = mode === 'username';

  const keepAliveAt = flagsAt + 1;
  const keepAliveEnd = keepAliveAt + 2;
  const body = [
    packet.subarray(bodyAt, flagsAt),
    Buffer.of(named ? connect.flags | USER_NAME_FLAG : connect.flags),
    packet.subarray(keepAliveAt, keepAliveEnd),
    ...(properties === undefined
      ? []
      : changed(
          packet,
          properties,
          cutsIn(properties, injects, dropsMethod),
          injects && !named ? list : undefined,
        )),
    packet.subarray(properties?.end ?? keepAliveEnd, userNameAt),
    named ? userNameField(connect.userName, list) : packet.subarray(userNameAt, userNameEnd),
    packet.subarray(userNameEnd),
  ];
  return Buffer.concat([Buffer.of(CONNECT_TYPE), lengthOf(body), ...body]);
}

/** The properties to remove, in the order of the packet. */
function cutsIn(
  { userProperties, authenticationMethod, authenticationData }: Properties,
  injects: boolean,
  dropsMethod: boolean,
): readonly Span[] {
  const forged = injects ? userProperties.filter(({ name }) => name.equals(ROLES)) : [];
  const authentication = dropsMethod ? [authenticationMethod, authenticationData] : [];
  return [...forged, ...authentication]
    .filter((span) => span !== undefined)
    .sort((one, other) => one.start - other.start);
}

/**
 * The properties section, its length included, without the removed properties and, if there is a `list`, with
 * one `roles` User Property.
 */
function changed(
  packet: Buffer,
  properties: Properties,
  cuts: readonly Span[],
  list: string | undefined,
): Buffer[] {
  const kept: Buffer[] = [];
  let from = properties.start;
  for (const { start, end } of cuts) {
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
