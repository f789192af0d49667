import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { listenLocally } from './local-server.js';
import { AUDIENCE, PEOPLE, type Person, SECRET } from './people.js';
import { haveUrlParse } from './url-parse.js';

const ALGORITHM = 'RS256';
const KEY_ID = 'demo-1';
const TOKEN_LIFETIME_SECONDS = 3600;

/** An OpenID provider: discovery, JWKS, and a token endpoint for the client credentials grant. */
export interface Issuer {
  readonly url: string;
  /** A fresh access token, valid one hour, from the token endpoint. */
  token(person: Person): Promise<string>;
  /** A token with a right signature whose hour is over. */
  expiredToken(person: Person): Promise<string>;
  close(): Promise<void>;
}

export async function startIssuer(): Promise<Issuer> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: KEY_ID, alg: ALGORITHM, use: 'sig' };
  const server = await listenLocally();
  const url = `http://${server.address}`;

  haveUrlParse();
  const provider = await withoutWarnings(async () => {
    const { Provider } = await import('oidc-provider');
    return new Provider(url, {
      jwks: { keys: [key] },
      clients: PEOPLE.map(({ name }) => ({
        client_id: name,
        client_secret: SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      })),
      ttl: { ClientCredentials: TOKEN_LIFETIME_SECONDS },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        // A resource server is what makes access tokens JWTs instead of opaque strings (RFC 8707, RFC 9068).
        resourceIndicators: {
          enabled: true,
          defaultResource: () => `urn:${AUDIENCE}`,
          getResourceServerInfo: () => ({
            scope: '',
            accessTokenFormat: 'jwt',
            audience: AUDIENCE,
            jwt: { sign: { alg: ALGORITHM } },
          }),
        },
      },
      extraTokenClaims: (_context, token) => claimsOf(token.clientId),
    });
  }).catch(async (thrown) => {
    // What still listens would keep the process.
    await server.close();
    throw thrown;
  });
  server.http.on('request', provider.callback());

  return {
    url,
    async token({ name }) {
      const response = await fetch(`${url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${name}:${SECRET}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      const { access_token: token } = (await response.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`the issuer gave ${name} no token: HTTP ${response.status}`);
      return token;
    },
    async expiredToken({ name }) {
      return await new SignJWT(claimsOf(name))
        .setProtectedHeader({ alg: ALGORITHM, kid: KEY_ID, typ: 'at+jwt' })
        .setSubject(name)
        .setIssuer(url)
        .setAudience(AUDIENCE)
        .setJti('an-hour-too-old')
        .setIssuedAt('2 hours ago')
        .setExpirationTime('1 hour ago')
        .sign(privateKey);
    },
    close: () => server.close(),
  };
}

function claimsOf(name: string): Record<string, unknown> {
  const roles = PEOPLE.find((person) => person.name === name)?.roles ?? [];
  return { preferred_username: name, realm_access: { roles } };
}

/** oidc-provider warns on the console that its memory is no production database: true, and no matter here. */
async function withoutWarnings<T>(work: () => Promise<T>): Promise<T> {
  const { warn } = console;
  console.warn = () => {};
  try {
    return await work();
  } finally {
    console.warn = warn;
  }
}
