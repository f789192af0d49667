import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { validate } from 'dockerfile-utils';
import { VARIABLES } from '../../internal/config/environment/variables.js';
import { makeCertificate } from '../support/certificate.js';
import { startChild } from '../support/child-process.js';
import { within } from '../support/eventually.js';

const text = readFileSync('Dockerfile', 'utf8');
const instructions = text
  .replaceAll(/^\s*#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, ' ')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => ({ name: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1) }));
const stages = instructions.flatMap(({ name }, at) => (name === 'FROM' ? [at] : []));
const final = instructions.slice(stages.at(-1));
const values = (name: string, of = final) => of.filter((each) => each.name === name).map(({ rest }) => rest);

/** Files and folders of the context, as COPY names them. */
const copied = values('COPY', instructions)
  .filter((rest) => !rest.includes('--from='))
  .flatMap((rest) => rest.split(' ').slice(0, -1))
  .filter((word) => !word.startsWith('--'));

test('the Dockerfile has no fault that a linter sees', () => {
  assert.deepEqual(validate(text), []);
});

test('both stages stand on one pinned base, which can be chosen', () => {
  assert.deepEqual(values('ARG', instructions.slice(0, stages[0])), ['BASE=node:24-trixie-slim']);
  assert.deepEqual(
    stages.map((at) => instructions[at]?.rest),
    [`\${BASE} AS build`, `\${BASE}`],
  );
});

test('what comes out runs as a numeric user that is not root, on the default port', () => {
  assert.match(values('USER').at(-1) ?? '', /^[1-9]\d+:[1-9]\d+$/);
  const user = final.findLastIndex(({ name }) => name === 'USER');
  assert.ok(!final.slice(user).some(({ name }) => ['RUN', 'COPY', 'WORKDIR'].includes(name)));
  assert.deepEqual(values('EXPOSE'), [VARIABLES.PORT.default]);
  assert.deepEqual(values('STOPSIGNAL'), ['SIGTERM']);
  assert.deepEqual(values('ENTRYPOINT'), ['["node", "/app/dist/cmd/main.js"]']);
  assert.match(values('HEALTHCHECK').join(), / CMD \["node", "\/app\/healthcheck\.js"\]$/);
});

test('nothing is fetched but by npm from the lock file, and no script of a package runs', () => {
  assert.deepEqual(values('ADD', instructions), []);
  for (const rest of values('RUN', instructions)) {
    assert.ok(!/curl|wget|apt-get|npm (install|i) /.test(rest), rest);
    if (/npm (ci|prune)/.test(rest)) assert.match(rest, /--ignore-scripts/);
  }
});

test('no variable of the gateway is set: each keeps its default, and a flag is not overruled', () => {
  const set = values('ENV').flatMap((rest) => [...rest.matchAll(/(\w+)=/g)].map(([, name]) => String(name)));
  assert.deepEqual(
    set.filter((name) => name in VARIABLES),
    [],
  );
});

test('the version on the label is that of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.match(values('LABEL').join(), new RegExp(`image\\.version="${version.replaceAll('.', '\\.')}"`));
});

test('.dockerignore lets in what is copied, and nothing else', () => {
  const lines = readFileSync('.dockerignore', 'utf8').split('\n');
  const [first, ...exceptions] = lines.filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(first, '*');
  assert.deepEqual(new Set(exceptions), new Set(copied.map((path) => `!${path}`)));
  for (const path of copied) assert.ok(existsSync(path), path);
});

/**
 * The exit code of the health check against a server that answers like this, which the
 * variables or their file name.
 */
async function checked(
  answer: RequestListener,
  certificate?: { certFile: string; keyFile: string },
  settings: 'variables' | 'file' = 'variables',
) {
  const server = certificate
    ? createTlsServer(
        { cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) },
        answer,
      )
    : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const directory = mkdtempSync(join(tmpdir(), 'health-check-'));
  try {
    const variables = {
      PORT: String((server.address() as AddressInfo).port),
      ...(certificate && { TLS_CERT_FILE: certificate.certFile }),
    };
    const file = join(directory, 'settings.yaml');
    writeFileSync(file, JSON.stringify(variables));
    const env = settings === 'file' ? { CONFIG_FILE: file } : variables;
    const { exited } = startChild(process.execPath, ['deploy/docker/healthcheck.js'], { env });
    return (await within(exited, 'health check')).code;
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  }
}

const healthy: RequestListener = ({ url }, response) =>
  response.writeHead(url === '/healthz' ? 200 : 404).end();

test('the health check is 0 for a gateway that answers, 1 for one that fails or is silent', async () => {
  assert.equal(await checked(healthy), 0);
  assert.equal(await checked((_, response) => response.writeHead(503).end()), 1);
  assert.equal(await checked((request) => request.socket.destroy()), 1);
  assert.equal(await checked(() => {}), 1);
});

test('the health check speaks TLS where the gateway does, whatever name its certificate has', async () => {
  const certificate = await makeCertificate('gateway.example.com');
  try {
    assert.equal(await checked(healthy, certificate), 0);
  } finally {
    await certificate.remove();
  }
});

test('the health check goes where CONFIG_FILE says that the gateway listens, with TLS if it says so', async () => {
  const certificate = await makeCertificate('gateway.example.com');
  try {
    assert.equal(await checked(healthy, undefined, 'file'), 0);
    assert.equal(await checked(healthy, certificate, 'file'), 0);
    assert.equal(await checked((_, response) => response.writeHead(503).end(), undefined, 'file'), 1);
  } finally {
    await certificate.remove();
  }
});
