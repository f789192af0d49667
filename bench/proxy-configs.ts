import type { Certificate } from '../test/support/certificate.js';

export interface ProxyConfig {
  readonly port: number;
  readonly upstreamPort: number;
  /** Listen with TLS. */
  readonly certificate: Certificate | undefined;
}

/** Everything on: tokens verified against a JWKS, memory cache, metrics, limits counted but never reached. */
export function gatewayEnvironment(
  { port, certificate }: Pick<ProxyConfig, 'port' | 'certificate'>,
  routeFile: string,
  jwksUrl: string,
): Record<string, string> {
  return {
    HOST: '127.0.0.1',
    PORT: String(port),
    ROUTE_FILE: routeFile,
    JWKS_URL: jwksUrl,
    JWT_CACHE_STORE: 'memory',
    RATE_LIMIT_PER_SECOND: '1000000000',
    RATE_LIMIT_BURST: '1000000000',
    MAX_CONNECTIONS_PER_IP: '1000000',
    MAX_CONNECTIONS_PER_SUB: '1000000',
    GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0',
    // As the others are told.
    LOG_ACCESS: 'off',
    ...(certificate === undefined
      ? {}
      : { TLS_CERT_FILE: certificate.certFile, TLS_KEY_FILE: certificate.keyFile }),
  };
}

/** @param directory what nginx writes goes there. */
export function nginxConfig({ port, upstreamPort, certificate }: ProxyConfig, directory: string): string {
  return `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory}/pid;
error_log stderr error;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port} ${certificate === undefined ? '' : 'ssl '}backlog=4096;
    ${certificate === undefined ? '' : nginxTls(certificate)}
    location / {
      proxy_pass http://127.0.0.1:${upstreamPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }
  }
}
`;
}

function nginxTls({ certFile, keyFile }: Certificate): string {
  return `ssl_certificate ${certFile};
    ssl_certificate_key ${keyFile};
    ssl_protocols TLSv1.3;`;
}

/**
 * @param pemFile certificate and key in one.
 * @param publicKeyFile PEM: tokens must be signed with RS256 by that key and in time, as for the gateway.
 */
export function haproxyConfig(
  { port, upstreamPort }: ProxyConfig,
  pemFile: string | undefined,
  publicKeyFile: string | undefined,
): string {
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend clients
  bind 127.0.0.1:${port} backlog 4096${pemFile === undefined ? '' : ` ssl crt ${pemFile} ssl-min-ver TLSv1.3`}
${publicKeyFile === undefined ? '' : haproxyTokenRules(publicKeyFile)}  default_backend upstream
backend upstream
  server upstream 127.0.0.1:${upstreamPort}
`;
}

function haproxyTokenRules(publicKeyFile: string): string {
  return `  http-request deny deny_status 401 unless { http_auth_bearer,jwt_header_query('$.alg') -m str RS256 }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify("RS256","${publicKeyFile}") 1 }
  http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) lt 0 }
`;
}
