import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { loadConfiguration } from '../../internal/config/environment/environment.js';
import { VARIABLES } from '../../internal/config/environment/variables.js';
import { COMPOSE_TEXT, composeFile, REFERENCE } from './compose-file.js';

const references = [...COMPOSE_TEXT.matchAll(REFERENCE)].map(([whole, name, kind]) => ({
  whole,
  name: String(name),
  kind,
}));
const asked = references.filter(({ kind }) => kind === '?');
const compose = composeFile(Object.fromEntries(asked.map(({ name }) => [name, `/value-of-${name}`])));
const { gateway, prometheus, grafana, mosquitto } = compose.services;
const yaml = (file: string) => parse(readFileSync(file, 'utf8'));

/** `source:target[:mode]` of every volume. */
const mounts = Object.entries(compose.services).flatMap(([service, { volumes = [] }]) =>
  volumes.map((volume) => {
    const [source = '', target = '', mode] = volume.split(':');
    return { service, source, target, mode };
  }),
);

function mountedAt(service: string, path: string): string {
  const mount = mounts.find((each) => each.service === service && `${path}/`.startsWith(`${each.target}/`));
  assert.ok(mount, `${service} has nothing at ${path}`);
  return mount.source + path.slice(mount.target.length);
}

test('every secret is asked for: none is written down, and none has a default', () => {
  assert.deepEqual(
    references.filter(({ name, kind }) => kind !== '?' && !name.endsWith('_PORT')),
    [],
  );
  for (const { environment = {} } of Object.values(compose.services)) {
    for (const [name, value] of Object.entries(environment)) {
      if (/PASSWORD|TOKEN$|DSN|REDIS|AUTH$/.test(name)) assert.match(value, /\/value-of-/, name);
    }
  }
});

test('every image is pinned', () => {
  for (const [name, { image }] of Object.entries(compose.services))
    assert.match(image, /^[a-z/-]+:v?\d+\.\d+(\.\d+)?$/, name);
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.equal(gateway.image, `ws-gateway:${version}`);
});

test('everything that is mounted is there, and files are mounted read-only', () => {
  for (const { source, target, mode } of mounts) {
    if (source.startsWith('./')) assert.ok(existsSync(source), source);
    else if (!source.startsWith('/value-of-')) assert.ok(source in compose.volumes, source);
    assert.equal(mode, source in compose.volumes ? undefined : 'ro', target);
  }
});

test('ports are published to this host alone', () => {
  for (const [name, { ports = [] }] of Object.entries(compose.services))
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
  assert.deepEqual(gateway.ports, [`127.0.0.1:8080:${VARIABLES.PORT.default}`]);
});

test('the gateway runs with no rights, nothing to write to, and time to drain', () => {
  assert.equal(gateway.read_only, true);
  assert.deepEqual(gateway.cap_drop, ['ALL']);
  assert.deepEqual(gateway.security_opt, ['no-new-privileges:true']);
  const drainSeconds =
    Number(VARIABLES.GRACEFUL_DRAIN_TIMEOUT_SECONDS.default) + Number(VARIABLES.SHUTDOWN_HARD_LIMIT.default);
  assert.ok(Number.parseInt(String(gateway.stop_grace_period), 10) > drainSeconds + 5);
});

test('the gateway takes its environment and its routes', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'compose-'));
  try {
    const environment: Record<string, string> = { ...gateway.environment };
    for (const name of Object.keys(environment)) assert.ok(name in VARIABLES, name);
    const key = join(directory, 'key.pem');
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(key, publicKey.export({ type: 'spki', format: 'pem' }));
    assert.equal(mountedAt('gateway', String(environment.JWT_PUBLIC_KEY_FILE)), '/value-of-JWT_PUBLIC_KEY');
    const loaded = loadConfiguration({
      ...environment,
      ADMIN_TOKEN: 'x',
      CACHE_SECRET: 'x',
      REDIS_URL: String(environment.REDIS_URL).replace('/value-of-', 'value-of-'),
      POSTGRES_DSN: String(environment.POSTGRES_DSN).replace('/value-of-', 'value-of-'),
      JWT_PUBLIC_KEY_FILE: key,
      ROUTE_FILE: mountedAt('gateway', VARIABLES.ROUTE_FILE.default),
    });
    assert.deepEqual('problems' in loaded ? loaded.problems : [], []);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('every host that a file names is a service', () => {
  const urls = [
    ...Object.values(gateway.environment ?? {}),
    ...['deploy/compose/gateway/routes.yaml', 'deploy/grafana/provisioning/datasources/prometheus.yaml'].map(
      (file) => readFileSync(file, 'utf8'),
    ),
  ].join('\n');
  const hosts = [...urls.matchAll(/:\/\/(?:[^@\s]*@)?([\w-]+)/g)].map(([, host]) => String(host));
  assert.deepEqual(new Set(hosts), new Set(['mosquitto', 'postgres', 'prometheus', 'redis']));
  for (const host of hosts) assert.ok(host in compose.services, host);
});

test('the route of MQTT clients leads to the listener of the broker', () => {
  const [route] = yaml('deploy/compose/gateway/routes.yaml') as { upstream: string }[];
  const configuration = readFileSync(mountedAt('mosquitto', '/mosquitto/config/mosquitto.conf'), 'utf8');
  assert.match(
    configuration,
    new RegExp(`^listener ${new URL(String(route?.upstream)).port}\\nprotocol websockets$`, 'm'),
  );
  assert.equal(mosquitto.ports, undefined, 'it lets everybody in: only the gateway may reach it');
});

test('Prometheus scrapes the gateway under a name that the alerts look for, and loads them', () => {
  const file = mountedAt('prometheus', '/etc/prometheus/prometheus.yml');
  const { rule_files, scrape_configs } = yaml(file) as {
    rule_files: string[];
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
  };
  for (const rules of rule_files) assert.ok(existsSync(join('deploy/prometheus', rules)), rules);
  const [job] = scrape_configs;
  assert.match(String(job?.job_name), /ws-gateway/);
  assert.deepEqual(job?.static_configs, [{ targets: [`gateway:${VARIABLES.PORT.default}`] }]);
  assert.equal(prometheus.command, undefined, 'the image looks for its files where they are mounted');
});

test('Grafana finds its data source and the dashboard', () => {
  const provisioning = mountedAt('grafana', '/etc/grafana/provisioning');
  const { datasources } = yaml(join(provisioning, 'datasources/prometheus.yaml')) as {
    datasources: { type: string; url: string }[];
  };
  assert.deepEqual(
    datasources.map(({ type, url }) => [type, url]),
    [['prometheus', 'http://prometheus:9090']],
  );
  const { providers } = yaml(join(provisioning, 'dashboards/ws-gateway.yaml')) as {
    providers: { options: { path: string } }[];
  };
  const home = String(grafana.environment?.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH);
  assert.equal(providers[0]?.options.path, home.slice(0, home.lastIndexOf('/')));
  assert.equal(mountedAt('grafana', home), './deploy/grafana/dashboard.json');
});
