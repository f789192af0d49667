import assert from 'node:assert/strict';
import { Peer, Refused } from '../../support/clients/ws-client.js';
import { type Ran, runCommand } from '../../support/gateway/command.js';
import type { Gateway } from '../../support/gateway/gateway.js';

/** Runs `ws-gateway explain` to its end, `input` on its standard input. */
export function run(args: readonly string[], env: NodeJS.ProcessEnv, input = ''): Promise<Ran> {
  return runCommand(['explain', ...args], { env, input });
}

/** What explain foretells, in the words in which a client meets it. */
export async function foretold(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  token?: string,
): Promise<unknown> {
  const flags = token === undefined ? args : [...args, '--token', '-'];
  const { code, stdout, stderr } = await run([...flags, '--json'], env, token);
  assert.equal(stderr, '');
  const { letIn, refusal } = JSON.parse(stdout) as {
    letIn: boolean;
    refusal?: { httpStatus?: number; code?: number; text?: string; mqttReasonCode?: string };
  };
  assert.equal(code, letIn ? 0 : 1);
  if (refusal === undefined) return 'in';
  if (refusal.httpStatus !== undefined) return refusal.httpStatus;
  const { code: close, text, mqttReasonCode } = refusal;
  return mqttReasonCode === undefined ? `${close} ${text}` : `${mqttReasonCode} ${close} ${text}`;
}

export interface Attempt {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocols?: readonly string[];
  readonly first?: string | Buffer;
}

/** What a real client meets. */
export async function met(gateway: Gateway, { path, headers, protocols, first }: Attempt): Promise<unknown> {
  let peer: Peer;
  try {
    peer = await Peer.open(gateway.ws + path, {
      ...(headers && { headers: { ...headers } }),
      ...(protocols && { protocols }),
    });
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.status;
    throw thrown;
  }
  if (first !== undefined) peer.send(first);
  // An MQTT upstream that echoes gives the CONNECT back.
  if (protocols === undefined) peer.send('in');
  let connack = '';
  try {
    const { data } = await peer.next();
    if (data[0] !== 0x20) return 'in';
    connack = `0x${data[3]?.toString(16)} `;
  } catch {
  } finally {
    if (connack === '' && peer.socket.readyState === peer.socket.OPEN) peer.socket.terminate();
  }
  const { code, reason } = await peer.ended();
  return `${connack}${code} ${reason}`;
}
