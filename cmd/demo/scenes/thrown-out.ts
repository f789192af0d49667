import { type Ending, RawClient } from '../clients/raw-client.js';
import { BOB, PARROT } from '../services/people.js';
import { expect } from './expectation.js';
import { claimsOf } from './forgery.js';
import type { Scene } from './scene.js';

/** More than RATE_LIMIT_BURST and its refill let through at once. */
const FLOOD_MESSAGES = 60;

/** Clients that were in, and did not stay. */
export const THROWN_OUT: readonly Scene[] = [
  {
    title: 'bob, whose token is revoked while he is connected',
    async play({ url, issuer, gateway }) {
      const token = await issuer.token(BOB);
      const { sub, jti } = claimsOf(token);
      const options = { headers: { authorization: `Bearer ${token}` } };
      const live = await RawClient.connect(`${url}/ws/rpc`, options);
      await live.call('whoami');
      const response = await fetch(`${gateway.url}/admin/revoke`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sub, jti }),
      });
      expect('the HTTP status of /admin/revoke', response.status, 200);
      expect('its answer', await response.json(), {
        revoked: true,
        sessionsClosed: 1,
        propagated: true,
      });
      const first = closed(await live.ended(), 'Token revoked');
      const again = await RawClient.connect(`${url}/ws/rpc`, options);
      closed(await again.ended(), 'Token revoked');
      return ['POST /admin/revoke', first, 'with the same token again: the same'];
    },
  },
  {
    title: `parrot, who sends ${FLOOD_MESSAGES} messages at once`,
    async play({ url, issuer }) {
      const authorization = `Bearer ${await issuer.token(PARROT)}`;
      const client = await RawClient.connect(`${url}/ws/rpc`, { headers: { authorization } });
      for (let sent = 0; sent < FLOOD_MESSAGES; sent++) client.send('{"jsonrpc":"2.0","method":"whoami"}');
      return [closed(await client.ended(), 'Rate limit exceeded')];
    },
  },
];

function closed(ending: Ending, reason: string): string {
  expect('the close frame', ending, { code: 1008, reason });
  return `closed with ${ending.code} "${ending.reason}"`;
}
