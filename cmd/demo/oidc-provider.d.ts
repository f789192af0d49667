/** The part of oidc-provider that the demo's issuer and the tests use; the package ships no types. */
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
      backchannel_logout_uri?: string;
      backchannel_logout_session_required?: boolean;
    }[];
    ttl?: { ClientCredentials: number };
    features: {
      devInteractions: { enabled: boolean };
      clientCredentials?: { enabled: boolean };
      backchannelLogout?: { enabled: boolean };
      resourceIndicators?: {
        enabled: boolean;
        defaultResource(): string;
        getResourceServerInfo(): ResourceServer;
      };
    };
    fetch?(url: string, options: RequestInit): Promise<Response>;
    extraTokenClaims?(context: unknown, token: { clientId: string }): Record<string, unknown>;
  }

  export class Provider {
    constructor(issuer: string, configuration: Configuration);
    readonly Client: {
      find(id: string): Promise<{ backchannelLogout(sub: string, sid: string): Promise<void> } | undefined>;
    };
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}
