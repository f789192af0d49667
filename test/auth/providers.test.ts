import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VerificationConfig } from '../../internal/config/config.js';
import { bench } from './parts.js';

/** A token as a provider documents it, and what docs/identity-providers.md says to set for it. */
interface Sample {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly set: Partial<VerificationConfig>;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly name: string;
}

const SAMPLES: Readonly<Record<string, Sample>> = {
  Keycloak: {
    claims: {
      iss: 'https://id.example.com/realms/main',
      aud: ['ws-gateway', 'account'],
      sub: 'f3c1b6c4-6a5f-4b5e-9b9e-0e5c2f8f7a11',
      typ: 'Bearer',
      azp: 'web',
      sid: '5d6d5f0a-6f2d-4c52-9a76-2f0e4bd2c0d5',
      realm_access: { roles: ['offline_access', 'operator'] },
      resource_access: { 'ws-gateway': { roles: ['reader'] }, account: { roles: ['view-profile'] } },
      scope: 'openid profile email',
      preferred_username: 'alice',
    },
    set: {
      issuer: 'https://id.example.com/realms/main',
      audiences: ['ws-gateway'],
      authorizedParties: ['web'],
    },
    roles: ['offline_access', 'operator', 'reader', 'view-profile'],
    scopes: ['openid', 'profile', 'email'],
    name: 'alice',
  },
  Auth0: {
    claims: {
      iss: 'https://example.eu.auth0.com/',
      sub: 'auth0|6553da60b7d5e0c2a1f0e9d8',
      aud: ['https://gateway.example.com/', 'https://example.eu.auth0.com/userinfo'],
      azp: 'my_client_id',
      scope: 'openid profile read:orders',
      permissions: ['read:orders', 'write:orders'],
    },
    set: {
      issuer: 'https://example.eu.auth0.com/',
      audiences: ['https://gateway.example.com/'],
      rolesClaims: ['permissions'],
      nameClaim: 'https://gateway.example.com/name',
    },
    roles: ['read:orders', 'write:orders'],
    scopes: ['openid', 'profile', 'read:orders'],
    name: '',
  },
  'Amazon Cognito, access token': {
    claims: {
      sub: '84f8c4a8-1071-70c9-6ad6-3a9d7c8e2b11',
      'cognito:groups': ['operators'],
      iss: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE',
      client_id: 'xxxxxxxxxxxxexample',
      origin_jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
      event_id: 'b34c6e0a-6b5a-4f6b-8d0c-cf0d0f0e7a55',
      token_use: 'access',
      scope: 'openid orders/read',
      username: 'alice',
    },
    set: {
      issuer: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE',
      rolesClaims: ['cognito:groups'],
      nameClaim: 'username',
    },
    roles: ['operators'],
    scopes: ['openid', 'orders/read'],
    name: 'alice',
  },
  'Microsoft Entra ID, version 2': {
    claims: {
      aud: '11111111-1111-1111-1111-111111111111',
      iss: 'https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0',
      azp: '22222222-2222-2222-2222-222222222222',
      azpacr: '1',
      name: 'Alice',
      oid: '33333333-3333-3333-3333-333333333333',
      preferred_username: 'alice@example.com',
      roles: ['Gateway.Connect'],
      scp: 'connect orders.read',
      sub: 'JJ3oEHGgkDFUFcG9Q0VrRk4nJNS1ahq5ZmR0eF9x1cM',
      tid: '00000000-0000-0000-0000-000000000000',
      ver: '2.0',
    },
    set: {
      issuer: 'https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0',
      audiences: ['11111111-1111-1111-1111-111111111111'],
      scopeClaim: 'scp',
    },
    roles: ['Gateway.Connect'],
    scopes: ['connect', 'orders.read'],
    name: 'alice@example.com',
  },
  Okta: {
    claims: {
      ver: 1,
      iss: 'https://example.okta.com/oauth2/default',
      aud: 'api://ws-gateway',
      cid: '0oabcdefghijklmn0h7',
      uid: '00u1a2b3c4d5e6f7g8h9',
      scp: ['openid', 'orders'],
      groups: ['Everyone', 'Operators'],
      sub: 'alice@example.com',
    },
    set: {
      issuer: 'https://example.okta.com/oauth2/default',
      audiences: ['api://ws-gateway'],
      scopeClaim: 'scp',
      nameClaim: 'sub',
    },
    roles: ['Everyone', 'Operators'],
    scopes: ['openid', 'orders'],
    name: 'alice@example.com',
  },
};

describe('a token as its provider documents it', () => {
  for (const [provider, { claims, set, roles, scopes, name }] of Object.entries(SAMPLES))
    test(`of ${provider} is read as the guide says`, async (t) => {
      const { authenticator, issuer } = await bench(t, { config: set });
      const identity = await authenticator.authenticate(issuer.sign(claims));
      assert.deepEqual(
        [identity.sub, identity.roles, identity.scopes, identity.preferredUsername],
        [claims.sub, roles, scopes, name],
      );
    });
});
