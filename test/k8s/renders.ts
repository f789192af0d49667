import { VARIABLES, type Variable } from '../../internal/config/environment/variables.js';
import { helmTemplate, type KubernetesObject, k8s, kustomize } from '../support/kubernetes/render.js';

/** A way to install the gateway, as the cluster gets to see it. */
export interface Render {
  readonly name: string;
  readonly objects: readonly KubernetesObject[];
}

const PUBLIC = { INGRESS_HOST: 'gateway.example.com', TRUSTED_PROXIES: '10.42.0.0/16' };
const REDIS = { REDIS_URL: 'redis://redis:6379' };

/** A route with every key that needs no file. */
const FULL_ROUTE = {
  prefix: '/full',
  upstream: ['wss://one.example:443/a', 'wss://two.example:443/a'],
  protocol: 'mqtt',
  copySubProtocol: true,
  preserveQuery: true,
  appendPath: true,
  auth: 'required',
  requireRoles: ['clerk', 'true', '8'],
  forwardHeaders: ['Accept-Language'],
  rateLimit: { perSecond: 2_000_000, burst: 3_000_000 },
  balance: 'hash:sub',
  health: { path: '/healthz?deep=1', status: 204 },
  onRemove: 'close',
  tls: { serverName: 'one.example', insecureSkipVerify: false },
  mqtt: { roles: 'username' },
};

/** What the chart sets itself, or takes from Secrets. */
const NOT_IN_CONFIG: ReadonlySet<string> = new Set(['PORT', 'ROUTE_FILE', 'TLS_CERT_FILE', 'TLS_KEY_FILE']);

/**
 * Every variable that the chart leaves to its user, with its default as a number or a
 * boolean where it looks like one.
 */
export const EVERY_VARIABLE: Readonly<Record<string, unknown>> = Object.fromEntries(
  Object.entries<Variable<unknown>>(VARIABLES)
    .filter(([name, { secret }]) => !secret && !NOT_IN_CONFIG.has(name))
    .map(([name, { default: fallback }]) => [name, typed(fallback)]),
);

function typed(text: string | undefined): unknown {
  if (text === undefined) return null;
  return text === 'true' || /^\d+(\.\d+)?$/.test(text) ? JSON.parse(text) : text;
}

/** Sets of values that an operator may come with. */
export const CHART_VALUES: Readonly<Record<string, object>> = {
  'the defaults': {},
  'a public host with everything on': {
    config: { ...PUBLIC, MAX_MESSAGE_BYTES: 1_048_576, WS_DIAL_TIMEOUT_SECONDS: 0.5, LOG_LEVEL: 'debug' },
    gatewayRoutes: [FULL_ROUTE, { prefix: '/ws/news', upstream: 'ws://news:9000/', auth: 'public' }],
    secret: { values: { ...REDIS, POSTGRES_DSN: 'postgres://db/gateway', ADMIN_TOKEN: 'x'.repeat(32) } },
    publicPaths: ['/ws', '/full'],
    ingress: { enabled: true },
    httpRoute: { enabled: true, annotations: { note: 'a: "b"' } },
    autoscaling: { enabled: true },
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
    prometheusRule: {
      enabled: true,
      labels: { release: 'prometheus' },
      docsUrl: 'https://docs.example.com/gw/',
    },
    grafanaDashboard: { enabled: true, annotations: { folder: 'Edge' } },
    service: { port: 80, annotations: { note: 'c' } },
    networkPolicy: {
      extraEgress: [{ to: [{ ipBlock: { cidr: '10.1.2.3/32' } }], ports: [{ port: 6380, protocol: 'TCP' }] }],
    },
    imagePullSecrets: [{ name: 'registry' }],
    podAnnotations: { note: 'd' },
    podLabels: { team: 'edge' },
    priorityClassName: 'high',
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'edge', operator: 'Exists' }],
    affinity: {
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone' }] },
    },
    image: { digest: `sha256:${'0'.repeat(64)}` },
    extraVolumes: [{ name: 'extra', configMap: { name: 'extra' } }],
    extraVolumeMounts: [{ name: 'extra', mountPath: '/etc/extra', readOnly: true }],
  },
  'several replicas': { replicaCount: 3, secret: { values: REDIS } },
  'an existing Secret': {
    replicaCount: 2,
    secret: { existingSecret: 'own', existingKeys: ['ADMIN_TOKEN', 'REDIS_URL', 'POSTGRES_DSN'] },
  },
  'autoscaling by CPU alone': {
    autoscaling: { enabled: true, sessionsPerPod: 0 },
    secret: { values: REDIS },
  },
  'TLS of its own': {
    tls: { secretName: 'own-tls' },
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true },
  },
  'a port of its own for the endpoints, and upstreams for each user': {
    config: { ...PUBLIC, ADMIN_PORT: 9090, ADMIN_HOST: '::' },
    publicPaths: ['/'],
    ingress: { enabled: true },
    httpRoute: { enabled: true },
    serviceMonitor: { enabled: true },
    gatewayTargets: { desktop: { claim: 'pod', allow: ['*.desktops.svc.cluster.local:29781'] } },
    gatewayRoutes: [
      { prefix: '/terminals', upstream: 'ws://{desktop}:29781/' },
      { prefix: '/', upstream: 'http://site:8080/' },
    ],
  },
  'everything off': {
    podDisruptionBudget: { enabled: false },
    networkPolicy: { enabled: false },
    ingress: { enabled: false },
    httpRoute: { enabled: false },
  },
  'nobody let in': { networkPolicy: { clients: [], scrapers: [] } },
  'no routes but a backend': { gatewayRoutes: [], config: { RAW_WS_BACKEND_URL: 'ws://echo:9000/' } },
  'every variable': {
    config: {
      ...EVERY_VARIABLE,
      JWT_EXPECTED_ISSUER: 'https://id.example.com',
      GRACEFUL_DRAIN_TIMEOUT_SECONDS: 90.5,
    },
  },
  'no drain at all': { config: { GRACEFUL_DRAIN_TIMEOUT_SECONDS: 0, SHUTDOWN_HARD_LIMIT: '0.5' } },
  'the drain of the gateway itself': {
    config: { GRACEFUL_DRAIN_TIMEOUT_SECONDS: '', SHUTDOWN_HARD_LIMIT: null },
  },
};

export const OVERLAYS: readonly string[] = ['staging', 'production'];

/** Everything that k8s/ makes. */
export function renders(): readonly Render[] {
  return [
    { name: 'the base', objects: kustomize(k8s('base')) },
    ...OVERLAYS.map((name) => ({ name: `overlay ${name}`, objects: kustomize(k8s(`overlays/${name}`)) })),
    ...Object.entries(CHART_VALUES).map(([name, values]) => ({
      name: `chart with ${name}`,
      objects: helmTemplate(values),
    })),
  ];
}
