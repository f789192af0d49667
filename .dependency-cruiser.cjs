/** The floors of the house: imports go down only. docs/architecture.md shows them. */
const floors = [
  ['cmd'],
  ['internal/app'],
  ['internal/workers'],
  ['internal/gateway', 'internal/admin'],
  ['internal/session', 'internal/exchange'],
  ['internal/access'],
  ['internal/auth', 'internal/upstream', 'internal/protocol', 'internal/ratelimit', 'internal/activity'],
  ['internal/store', 'internal/config'],
  ['internal/request'],
  ['internal/telemetry'],
  ['internal/websocket', 'internal/outbound', 'internal/dsn', 'internal/runtime', 'internal/collections'],
  ['internal/[^/]+.ts'],
];
const pattern = (places) => `^(${places.map((place) => place.replace('.', '\\.')).join('|')})(/|$)`;

const upward = floors.slice(1).map((floor, index) => ({
  name: `no-upward-import-from-floor-${index + 1}`,
  comment: `${floor.join(', ')} may not import anything above it`,
  severity: 'error',
  from: { path: pattern(floor) },
  to: { path: pattern(floors.slice(0, index + 1).flat()) },
}));

const neighbours = [
  ['gateway', 'admin'],
  ['session', 'exchange'],
  ['auth', 'upstream', 'protocol', 'ratelimit', 'activity'],
  ['store', 'config'],
  ['websocket', 'outbound', 'dsn', 'runtime', 'collections'],
].flatMap((floor) =>
  floor.map((room) => ({
    name: `${room}-keeps-to-itself`,
    comment: 'rooms of one floor do not import each other',
    severity: 'error',
    from: { path: `^internal/${room}/` },
    to: { path: `^internal/(${floor.filter((other) => other !== room).join('|')})/` },
  })),
);

module.exports = {
  forbidden: [
    ...upward,
    ...neighbours,
    {
      name: 'pool-and-socket-know-no-protocol',
      comment: 'inside upstream: websocket | http → pool, socket',
      severity: 'error',
      from: { path: '^internal/upstream/(pool|socket)/' },
      to: { path: '^internal/upstream/(websocket|http)/' },
    },
    {
      name: 'websocket-and-http-keep-to-themselves',
      comment: 'inside upstream: websocket | http → pool, socket',
      severity: 'error',
      from: { path: '^internal/upstream/(websocket|http)/' },
      to: { path: '^internal/upstream/(websocket|http)/', pathNot: '^internal/upstream/$1/' },
    },
    {
      name: 'pool-and-socket-keep-to-themselves',
      severity: 'error',
      from: { path: '^internal/upstream/(pool|socket)/' },
      to: { path: '^internal/upstream/(pool|socket)/', pathNot: '^internal/upstream/$1/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'session-and-below-know-no-socket-library',
      severity: 'error',
      from: {
        path: '^internal/',
        pathNot: '^internal/(app|workers|gateway|admin)/',
      },
      to: { path: 'uWebSockets|^uwebsockets|^(node:)?process$' },
    },
    {
      name: 'uwebsockets-is-at-home-in-gateway-uws',
      severity: 'error',
      from: { pathNot: '^internal/gateway/uws/' },
      to: { path: 'uWebSockets|uwebsockets' },
    },
    {
      name: 'protocol-and-websocket-are-pure',
      severity: 'error',
      from: { path: '^internal/(protocol|websocket)/' },
      to: { path: '^(node:)?(net|tls|fs|http|https|dns|timers)$' },
    },
    {
      name: 'no-dev-dependency-in-the-daemon',
      severity: 'error',
      from: { path: '^(internal|cmd/(main|worker|daemon))' },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'a-store-is-loaded-where-one-is-configured',
      comment: 'its library is a fifth of a start and 15 MB of each process',
      severity: 'error',
      from: { path: '^(internal|cmd)/', pathNot: '^internal/store/(redis|postgres)[^/]*$' },
      to: {
        path: '^internal/store/(redis|postgres)\\.ts$',
        dependencyTypesNot: ['type-only', 'dynamic-import'],
      },
    },
    { name: 'nothing-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.cjs', '.json'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
