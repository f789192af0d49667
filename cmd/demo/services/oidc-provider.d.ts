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
      client_secret?: string;
      grant_types: string[];
      redirect_uris: string[];
      response_types: string[];
      backchannel_logout_uri?: string;
      backchannel_logout_session_required?: boolean;
      token_endpoint_auth_method?: string;
      token_endpoint_auth_signing_alg?: string;
      jwks?: { keys: JWK[] };
    }[];
    ttl?: { ClientCredentials: number };
    features: {
      devInteractions: { enabled: boolean };
      clientCredentials?: { enabled: boolean };
      backchannelLogout?: { enabled: boolean };
      introspection?: { enabled: boolean };
      resourceIndicators?: {
        enabled: boolean;
        defaultResource(): string;
        getResourceServerInfo(): ResourceServer;
      };
    };
    fetch?(url: string, options: RequestInit): Promise<Response>;
    extraTokenClaims?(context: unknown, token: { clientId: string }): Record<string, unknown>;
  }

  export interface ProviderClient {
    backchannelLogout(sub: string, sid: string): Promise<void>;
  }

  export class Provider {
    constructor(issuer: string, configuration: Configuration);
    readonly Client: { find(id: string): Promise<ProviderClient | undefined> };
    readonly AccessToken: new (token: {
      accountId: string;
      client: ProviderClient | undefined;
      scope: string;
    }) => { save(): Promise<string>; destroy(): Promise<void> };
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}
