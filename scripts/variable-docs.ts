import type { VariableName } from '../internal/config/environment/variables.js';

/**
 * What every variable is for, in the order and under the headings of docs/configuration.md and .env.example,
 * which `npm run docs` makes of this and of the variables' own bounds and defaults. In .env.example the
 * first sentence stands alone.
 */
export const VARIABLE_GROUPS: Readonly<Record<string, Readonly<Partial<Record<VariableName, string>>>>> = {
  Listening: {
    HOST: 'address that is listened on',
    PORT: 'port that is listened on; 0 takes any free one',
    ADMIN_HOST:
      "address of the gateway's own endpoints; unset: HOST. Goes with ADMIN_PORT, or with a HOST that is one address",
    ADMIN_PORT:
      "port of the gateway's own endpoints: `/metrics`, `/healthz`, `/readyz`, `/admin`; PORT then answers 404 for `/metrics` and `/admin`. Its connections are not counted in MAX_CONNECTIONS; with TLS_CERT_FILE it speaks TLS too. 0 takes any free one; unset: PORT",
    LISTENER:
      'who accepts clients: `node`, on the sockets of Node.js; `uws`, uWebSockets.js; `auto` is `uws` where TLS_CERT_FILE or WS_COMPRESSION is set and its build is sound, else `node`. See [listeners](listeners.md)',
    WORKERS: 'processes that share the port',
    TLS_CERT_FILE:
      'listen with TLS: certificate chain in PEM form, the own certificate first; read again when it changes. Goes with TLS_KEY_FILE',
    TLS_KEY_FILE: 'its private key in PEM form, without a passphrase. Goes with TLS_CERT_FILE',
    WS_COMPRESSION:
      'permessage-deflate towards clients: off, one compressor shared by all, or one dedicated to each session, which costs memory',
    INGRESS_HOST: 'public host name, for generated manifests and as context in logs',
  },
  Routes: {
    CONFIG_FILE:
      'file with more of these variables, see [settings file](#settings-file); those of the environment win over it',
    ROUTE_FILE: 'the routes file; wins over `--route-file`',
    RAW_WS_BACKEND_URL: 'upstream of raw clients on plain `/ws` that no route takes',
    MQTT_WS_BACKEND_URL: 'upstream of MQTT clients on plain `/ws` that no route takes',
    RESPOND_VARIABLES:
      'environment variables that the body of a `respond` route may show, as $NAME in braces',
  },
  'Who may connect': {
    WS_ALLOWED_ORIGINS:
      "pages that may connect beside those of the gateway's own host and port, which always may. `https://*.example.com` is any subdomain, not `example.com` itself; without a scheme it means https; without a port the scheme's own; `http://localhost:*` any port; `capacitor://localhost`, `chrome-extension://…` and the like are apps and extensions, `file://` clients that call themselves local files; `*` everything, `null` too. Clients that send no Origin (anything but a browser) always may",
    TRUSTED_PROXIES:
      'peers whose X-Forwarded-For, -Proto and -Host, X-Request-Id and traceparent are believed',
    MAX_CONNECTIONS:
      'connections of every kind in one process; more are closed unanswered, or get HTTP 503 (LISTENER=uws: handshakes only). 0: no limit',
    MAX_CONNECTIONS_PER_IP:
      'connections from one address (IPv6: from one /64) in one process; more are closed unanswered, or get HTTP 429 behind a trusted proxy and with LISTENER=uws. 0: no limit',
    MAX_SESSIONS_PER_TOKEN:
      'live sessions of one token (its `jti`), over all workers, and with REDIS_URL or POSTGRES_DSN over all replicas; more are closed with 1008. 0: no limit',
    MAX_HANDSHAKES_PER_SECOND:
      "new sessions admitted a second and process, a second's worth at once; more wait up to 5 s, first those whose token is known, then they get HTTP 503 with Retry-After. 0: no limit",
    MAX_DIALS_PER_ENDPOINT:
      'dials under way to one upstream endpoint; more wait for their turn within WS_DIAL_TIMEOUT_SECONDS',
    MAX_CONNECTIONS_PER_SUB:
      'connections of one subject in one process; more are closed with 1008. 0: no limit',
  },
  'Where the token is': {
    JWT_HEADER_NAMES: 'headers that can carry it, with or without `Bearer `; not case-sensitive',
    JWT_SUBPROTOCOL_NAMES:
      'sub-protocols that announce the next one as the token, as `new WebSocket(url, ["bearer", token])` does; not case-sensitive, never passed on',
    JWT_COOKIE_NAME:
      'cookie that can carry it, whole or cut into `name.0`, `name.1`, …; of several the first that looks like a token; case-sensitive',
    JWT_QUERY_NAMES: 'query parameters that can carry it; they are never passed on',
    AUTH_TIMEOUT_SECONDS: 'time for the client to present it',
    MAX_CONNECT_BYTES: 'bytes taken from a client before it is authenticated',
  },
  'What makes a token good': {
    JWKS_URL: 'where the verification keys are; unset: discovered from JWT_EXPECTED_ISSUER',
    JWT_PUBLIC_KEY_FILE:
      'one verification key instead: a public key or certificate in PEM form. Not together with JWKS_URL; with it, JWT_EXPECTED_ISSUER is only compared',
    JWKS_TTL_MINUTES: 'how long fetched keys are fresh',
    JWKS_MAX_STALE_MINUTES: 'how long the last good keys may serve while the endpoint is down',
    JWT_EXPECTED_ISSUER: 'what `iss` must be, to the letter; unset: not checked',
    JWT_EXPECTED_AUDIENCE:
      'one of these must be in `aud`; unset: not checked. A list of nothing but commas is an error',
    JWT_EXPECTED_AZP:
      'one of these must be `azp`, the client that the token was issued to; unset: not checked',
    ISSUERS_FILE:
      'file of several issuers, each with keys and rules of its own. Not together with JWKS_URL, JWT_PUBLIC_KEY_FILE or JWT_EXPECTED_ISSUER; JWT_EXPECTED_AUDIENCE, JWT_VALID_ALGORITHMS and JWT_ROLES_CLAIMS are for those that have none of their own',
    JWT_ROLES_CLAIMS:
      'where roles are, instead of `realm_access.roles`, every `resource_access.*.roles`, `roles` and `groups`: names of claims (`cognito:groups`) or paths (`resource_access.*.roles`). A text is split at its blanks',
    JWT_NAME_CLAIM: 'where the user name is',
    JWT_SCOPE_CLAIM: 'where the scopes are, for `requireScopes`',
    JWT_VALID_ALGORITHMS: 'signature algorithms; `none` and HS* cannot be listed',
    JWT_CLOCK_SKEW_SECONDS: 'leeway for `exp` and `nbf`',
    JWT_CLOSE_ON_EXPIRY: 'whether a session ends when its token expires',
    INTROSPECTION_URL: 'where the provider is asked whether a token is good (RFC 7662); unset: nobody is',
    INTROSPECTION:
      'which tokens it is asked about: `opaque`, those that are no JWTs, and all of them where there is no key source; `always`, every one, JWTs when their signature is good',
    INTROSPECTION_CLIENT_ID: 'which client of the provider the gateway is; needed with INTROSPECTION_URL',
    INTROSPECTION_CLIENT_SECRET:
      "that client's secret (`client_secret_basic`); this or the key file is needed. Secret",
    INTROSPECTION_CLIENT_KEY_FILE:
      "that client's private key in PEM form (`private_key_jwt`); read again at each question",
    INTROSPECTION_CACHE_SECONDS:
      'how long an answer counts at most; live sessions are asked about again this often',
    INTROSPECTION_MAX_STALE_SECONDS: 'how long past that live sessions stay while nobody answers',
  },
  'Token cache, stores and revocation': {
    JWT_CACHE_STORE:
      'where verified tokens are remembered; without REDIS_URL or POSTGRES_DSN the choice falls back to memory, with a warning',
    CACHE_SECRET:
      'protects the tokens remembered in Redis or Postgres; without it each process believes only what it put there itself. At least 32 random characters, the same in all replicas. Secret',
    JWT_CACHE_PREFIX: 'what keys in the store begin with',
    JWT_CACHE_MAX_ENTRIES: 'tokens remembered in one process',
    REDIS_URL:
      'Redis for the token cache, revocations, bans and shared limits; several URLs are nodes of one cluster, one of `redis+sentinel://` has its master from Sentinels. Secret',
    POSTGRES_DSN: 'Postgres for the token cache, revocations and bans. Secret',
    REVOCATION_TTL_SECONDS:
      'how long a revocation is remembered; make it at least the lifetime of your tokens',
    BACKCHANNEL_LOGOUT:
      'whether `POST /oidc/backchannel-logout` takes logout tokens of the provider (OpenID Connect Back-Channel Logout 1.0)',
    BACKCHANNEL_CLIENT_ID:
      "one of these must be in `aud` of a logout token; unset: one of JWT_EXPECTED_AUDIENCE, or of the issuer's own audiences",
    ADMIN_TOKEN: 'bearer token for `/admin/*`; unset: peers on the loopback interface only. Secret',
  },
  Sessions: {
    MAX_MESSAGE_BYTES: 'largest message of a client; more closes the session with 1009',
    MAX_BUFFERED_BYTES: 'bytes that wait per direction and session before flow control acts',
    WS_IDLE_TIMEOUT_SECONDS: 'a peer silent for so long, pongs included, is closed; pings go out before',
    WS_WRITE_TIMEOUT_SECONDS: 'a peer that takes nothing for so long is dropped',
    WS_CONTROL_TIMEOUT_SECONDS: 'time for a close handshake; 0 drops the connection at once',
    GRACEFUL_DRAIN_TIMEOUT_SECONDS:
      'time over which sessions are closed on SIGTERM; 0 closes them all at once',
    SHUTDOWN_HARD_LIMIT: 'time for what is left after that, in seconds',
  },
  Upstreams: {
    WS_DIAL_TIMEOUT_SECONDS: 'time for TCP, TLS and the opening handshake of one attempt',
    WS_DIAL_RETRY_MAX: 'attempts in all, the first one included',
    WS_DIAL_RETRY_INTERVAL_SECONDS: 'pause before the same endpoint is tried again',
    CB_FAILURE_THRESHOLD:
      "failures in a row that open an endpoint's circuit breaker; all but failed TCP and TLS count once for each client",
    CB_OPEN_TIMEOUT_SECONDS: 'time until an open breaker lets one trial through',
    CB_HEALTHCHECK_INTERVAL_SECONDS: 'time between health checks of an endpoint',
    UPSTREAM_MASKING:
      'masking keys of frames to upstreams; `random` for an upstream behind an untrusted network or a proxy that caches',
  },
  'Rate limits': {
    RATE_LIMIT_PER_SECOND:
      'messages a second per subject, or per address on public routes; of MQTT clients PUBLISH, SUBSCRIBE and UNSUBSCRIBE packets, however they lie in frames; 0: off',
    RATE_LIMIT_BURST: 'messages that may come at once; 0 only while RATE_LIMIT_PER_SECOND is 0',
    RATE_LIMIT_BYTES_PER_SECOND: 'payload bytes a second per subject; 0: off',
  },
  'What operators and clients are told': {
    ACTIVITY_STORE: 'where ended sessions are kept, for `/admin/activity/*`; postgres needs POSTGRES_DSN',
    ACTIVITY_DAYS: 'days after which they are deleted',
    DISCOVERY: 'whether `GET /discovery` tells clients the routes, and where a token may be',
  },
  'What the gateway asks for itself': {
    HTTP_PROXY:
      'proxy for http:// addresses of keys, discovery, introspection, traces and `bootstrap.mint.url`. Also `http_proxy`; likewise below',
    HTTPS_PROXY: 'proxy for https:// addresses, through CONNECT',
    NO_PROXY:
      'what is asked directly: a host with all below it, an address or CIDR, each but the last with `:port` if need be; `*`: everything',
  },
  'Metrics and logs': {
    METRICS_MAX_USERS: 'distinct values of a label that holds users; later ones are counted as `_other`',
    LOG_LEVEL: 'least severe level that is written',
    LOG_FORMAT: 'one JSON object a line, or lines for people',
    LOG_ACCESS:
      'which lines of clients are written: all, those of clients that were turned away or did not end well, or none',
  },
  Traces: {
    OTEL_EXPORTER_OTLP_ENDPOINT:
      'OpenTelemetry collector that takes OTLP over HTTP in JSON; unset: no traces. `/v1/traces` is appended',
    OTEL_EXPORTER_OTLP_HEADERS: 'headers sent to it, such as a key. Secret',
    OTEL_SERVICE_NAME: 'what the traces call this service',
    OTEL_RESOURCE_ATTRIBUTES: 'further attributes of the service',
    OTEL_SDK_DISABLED: 'true: no traces, whatever else is set',
    OTEL_TRACES_EXPORTER: 'none: no traces',
    OTEL_TRACES_SAMPLER:
      'which openings and HTTP exchanges are traced; `parentbased_` ones follow what a trusted proxy has decided, if it has. A sampler that is not offered is a warning',
    OTEL_TRACES_SAMPLER_ARG: 'part of the traces that the `traceidratio` samplers take',
  },
};
