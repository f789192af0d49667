import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SignJWT } from 'jose';
import type { IntrospectionConfig } from '../../config/config.js';
import { signingAlgorithmOf } from '../../config/key-pair.js';

/** The client authentication of a request to the provider. */
export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>;
  /** Further form parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Lifetime of an assertion, which is used at once: room for clocks that differ. */
const ASSERTION_SECONDS = 60;

/**
 * The gateway as a client of its provider:
 * `client_secret_basic` (RFC 6749 §2.3.1), or `private_key_jwt` (OpenID Connect Core 1.0 §9) with the
 * key that is in the file now, so that a new one counts from the next request on.
 * @param audience of an assertion: the provider's issuer, else the address that is asked.
 * @throws Error, by rejecting, when the key file cannot be used.
 */
export async function clientProof(
  { clientId, client }: Pick<IntrospectionConfig, 'clientId' | 'client'>,
  audience: string,
): Promise<ClientProof> {
  if ('secret' in client) {
    const pair = `${formEncoded(clientId)}:${formEncoded(client.secret)}`;
    return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, parameters: {} };
  }
  const key = createPrivateKey(await readFile(client.keyFile, 'utf8'));
  const alg = signingAlgorithmOf(key);
  if (alg === undefined)
    throw new TypeError('INTROSPECTION_CLIENT_KEY_FILE holds no key that JWTs are signed with');
  const nowSeconds = Math.floor(Date.now() / 1000);
  // RFC 7523 §3; the provider may remember each `jti`, so none is used twice.
  const assertion = await new SignJWT()
    .setProtectedHeader({ alg, typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + ASSERTION_SECONDS)
    .sign(key);
  return {
    headers: {},
    parameters: {
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    },
  };
}

/** RFC 6749 Appendix B. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
