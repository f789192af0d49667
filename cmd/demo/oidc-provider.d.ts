/** The part of oidc-provider that the demo's issuer uses; the package ships no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';
  import type { JWK } from 'jose';

  export interface ResourceServer {
    scope: string;
    accessTokenFormat: 'jwt';
    audience: string;
    jwt: { sign: { alg: string } };
  }

  export interface Configuration {
    jwks: { keys: JWK[] };
    clients: {
      client_id: string;
      client_secret: string;
      grant_types: string[];
      redirect_uris: string[];
      response_types: string[];
    }[];
    ttl: { ClientCredentials: number };
    features: {
      devInteractions: { enabled: boolean };
      clientCredentials: { enabled: boolean };
      resourceIndicators: {
        enabled: boolean;
        defaultResource(): string;
        getResourceServerInfo(): ResourceServer;
      };
    };
    extraTokenClaims(context: unknown, token: { clientId: string }): Record<string, unknown>;
  }

  export class Provider {
    constructor(issuer: string, configuration: Configuration);
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}
