import { refusedMqtt } from '../clients/mqtt-client.js';
import { type Ending, handshakeStatus, RawClient } from '../clients/raw-client.js';
import { ALICE, BOB } from '../services/people.js';
import { expect } from './expectation.js';
import { tampered, unsigned } from './forgery.js';
import type { Scene, Stage } from './scene.js';

/** CONNACK return code: not authorized (MQTT 3.1.1 §3.2.2.3). */
const NOT_AUTHORIZED = 5;
const POLICY_VIOLATION = 1008;

/** Clients that must not come through. */
export const KEPT_OUT: readonly Scene[] = [
  {
    title: "a forger: alice's claims plus the role admin, unsigned",
    play: (stage) => forged(stage, unsigned),
  },
  {
    title: "a forger: alice's claims plus the role admin, under her real signature",
    play: (stage) => forged(stage, tampered),
  },
  {
    title: 'alice, with a token that expired an hour ago',
    async play({ url, issuer, gateway }) {
      const token = await issuer.expiredToken(ALICE);
      const [ending, why] = await Promise.all([
        endingOf(url, '/ws/rpc', token),
        gateway.log.refused('jwt_invalid'),
      ]);
      return [refused(ending, 'JWT invalid or expired'), why];
    },
  },
  {
    title: 'an MQTT client without a token',
    async play({ url }) {
      const { connack, ending } = await refusedMqtt(`${url}/ws/mqtt`, '3.1.1', 'nobody', undefined);
      expect('CONNACK', connack, NOT_AUTHORIZED);
      return [`CONNACK ${connack}, then ${refused(ending, 'JWT missing')}`];
    },
  },
  {
    title: 'bob, on a path for auditors only',
    async play({ url, issuer }) {
      return [refused(await endingOf(url, '/ws/audit', await issuer.token(BOB)), 'Forbidden')];
    },
  },
  {
    title: 'alice, on a path that does not exist',
    async play({ url, issuer }) {
      const authorization = `Bearer ${await issuer.token(ALICE)}`;
      return [http(await handshakeStatus(`${url}/ws/nowhere`, { headers: { authorization } }), 404)];
    },
  },
  {
    title: "alice's browser, on a page of another origin",
    async play({ url, issuer }) {
      const authorization = `Bearer ${await issuer.token(ALICE)}`;
      const options = { headers: { authorization }, origin: 'https://elsewhere.example' };
      return [http(await handshakeStatus(`${url}/ws/rpc`, options), 403)];
    },
  },
];

/** The victim is connected first, so that the real token sits in the gateway's cache. */
async function forged({ url, issuer, gateway }: Stage, forge: (token: string) => string): Promise<string[]> {
  const token = await issuer.token(ALICE);
  const victim = await RawClient.connect(`${url}/ws/rpc`, { headers: { authorization: `Bearer ${token}` } });
  const [ending, why] = await Promise.all([
    endingOf(url, '/ws/rpc', forge(token)),
    gateway.log.refused('jwt_invalid'),
  ]);
  await victim.call('whoami');
  await victim.close();
  return [`${refused(ending, 'JWT invalid or expired')}, while the real alice stayed connected`, why];
}

async function endingOf(url: string, path: string, token: string): Promise<Ending> {
  const client = await RawClient.connect(url + path, { headers: { authorization: `Bearer ${token}` } });
  return await client.ended();
}

function refused(ending: Ending, reason: string): string {
  expect('the close frame', ending, { code: POLICY_VIOLATION, reason });
  return `closed with ${ending.code} "${ending.reason}"`;
}

function http(status: number, wanted: number): string {
  expect('the HTTP status', status, wanted);
  return `HTTP ${status}, no WebSocket at all`;
}
