import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { parse } from 'yaml';
import { CLOSE_REASONS, type CloseReason } from '../internal/close-codes.js';
import { readEnvironment } from '../internal/config/environment/environment.js';
import { VARIABLES, type Variable } from '../internal/config/environment/variables.js';
import { readIssuers } from '../internal/config/issuers.js';
import { parseRoutes } from '../internal/config/routes/routes.js';
import { entrySchemas } from '../internal/config/routes/schema.js';
import { ERROR_CODES } from '../internal/errors.js';
import { Metrics } from '../internal/telemetry/metrics/metrics.js';
import { VARIABLE_GROUPS } from '../scripts/variable-docs.js';
import { bench } from './auth/parts.js';
import { certificate, directory, linesOf, put } from './config/files.js';
import { NO_BACKENDS } from './config/route-defaults.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...['docs', 'examples'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];
const reasons: readonly CloseReason[] = Object.values(CLOSE_REASONS);

/** The fenced blocks of a page with that info string. */
function blocks(page: string, info: string): string[] {
  return [...read(page).matchAll(new RegExp(`^ *\`\`\`${info}\n(.*?)^ *\`\`\`$`, 'gms'))].map(
    ([, text = '']) => text,
  );
}

function prose(page: string): string {
  return read(page).replaceAll(/^ *```.*?^ *```$/gms, '');
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchors(page: string): Set<string> {
  const slugs = [...prose(page).matchAll(/^#+ +(.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  );
  assert.equal(new Set(slugs).size, slugs.length, `${page}: a heading twice`);
  return new Set(slugs);
}

describe('prose', () => {
  for (const page of PAGES)
    it(`of ${page} keeps within 120 columns`, () => {
      const wide = prose(page)
        .split('\n')
        .filter((line) => line.length > 120 && !/^ *\|/.test(line));
      assert.deepEqual(wide, []);
    });
});

describe('links', () => {
  for (const page of PAGES)
    it(`of ${page} lead somewhere`, () => {
      const dead = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
        if (/^[a-z]+:/.test(link)) return [];
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
        if (!existsSync(join(ROOT, target))) return [link];
        return anchor === undefined || anchors(target).has(anchor) ? [] : [link];
      });
      assert.deepEqual(dead, []);
    });

  it('of the README lead to every page of docs/', () => {
    const readme = read('README.md');
    const reached = new Set(PAGES.filter((page) => page.startsWith('docs/') && readme.includes(`(${page})`)));
    for (const page of reached) {
      for (const [, name] of read(page).matchAll(/\]\(([\w-]+\.md)/g)) reached.add(`docs/${name}`);
    }
    assert.deepEqual(
      PAGES.filter((page) => page.startsWith('docs/') && !reached.has(page)),
      [],
    );
  });

  it('of the alerts lead to a heading each', () => {
    const runbooks = [...read('deploy/prometheus/alerts.yml').matchAll(/runbook: (.+)#(.+)$/gm)];
    assert.notEqual(runbooks.length, 0);
    for (const [, page = '', anchor = ''] of runbooks)
      assert.ok(anchors(page).has(anchor), `${page}#${anchor}`);
  });
});

/** Names in capitals that are somebody else's. */
const FOREIGN = new Set(
  [
    'SO_REUSEPORT NODE_EXTRA_CA_CERTS GLIBC_2 EAI_AGAIN CAP_NET_BIND_SERVICE TLS_AES_128_GCM_SHA256',
    'MALLOC_ARENA_MAX NO_COLOR NODE_OPTIONS',
  ].flatMap((line) => line.split(' ')),
);

/** Tables in Postgres, which look like metrics. */
const TABLES = new Set([
  'ws_revocations',
  'ws_gateway_schema',
  'ws_rate_limits',
  'ws_drains',
  'ws_used',
  'ws_token_slots',
]);

describe('what the prose names is there', () => {
  const variables = Object.entries<Variable<unknown>>(VARIABLES);
  const names = new Set([
    ...variables.map(([name]) => name),
    ...variables.filter(([, { secret }]) => secret).map(([name]) => `${name}_FILE`),
    ...Object.keys(ERROR_CODES),
    ...FOREIGN,
  ]);
  const metrics = new Set(new Metrics(1).registry.getMetricsAsArray().map(({ name }) => name));

  for (const page of PAGES)
    it(`variables and metrics in ${page}`, () => {
      const text = prose(page);
      const strangers = [...text.matchAll(/(?<![\w<$/])[A-Z][A-Z\d]*(?:_[A-Z\d]+)+(?![\w*/])/g)].map(
        ([name]) => name,
      );
      assert.deepEqual(
        strangers.filter((name) => !names.has(name)),
        [],
      );
      const counted = [...text.matchAll(/\bws_[a-z_]+[a-z]\b(?!\*|:)/g)].map(([name]) => name);
      const known = (name: string) =>
        metrics.has(name) || metrics.has(name.replace(/_(bucket|sum|count)$/, ''));
      assert.deepEqual(
        counted.filter((name) => !known(name) && !TABLES.has(name)),
        [],
      );
    });

  for (const page of PAGES)
    it(`close codes with their texts in ${page}`, () => {
      const shown = [...prose(page).matchAll(/\b(1\d{3}) "([^"]+)"/g)].map(
        ([, code, text]) => `${code} ${text}`,
      );
      const sent = new Set(reasons.map(({ client }) => `${client?.code} ${client?.reason}`));
      assert.deepEqual(
        shown.filter((each) => !sent.has(each)),
        [],
      );
    });

  it('every variable is in one group of its documentation', () => {
    const documented = Object.values(VARIABLE_GROUPS).flatMap((group) => Object.keys(group));
    assert.deepEqual(documented.toSorted(), variables.map(([name]) => name).toSorted());
  });

  it('defaults of route keys', () => {
    const minimal = entrySchemas.websocket.parse({ prefix: '/x', upstream: 'ws://x' });
    const rows = new Map(
      [...read('docs/configuration.md').matchAll(/^\| ([a-zA-Z]+) \| .* \| ([^|]*) \|$/gm)].map(
        ([, key, value]) => [key, value],
      ),
    );
    for (const [key, value] of Object.entries(minimal))
      if (typeof value === 'boolean' || (typeof value === 'string' && !['prefix'].includes(key)))
        assert.equal(rows.get(key), String(value), key);
  });
});

describe('the troubleshooting page', () => {
  const page = read('docs/troubleshooting.md');
  /** What stands under a heading, up to the next one. */
  const section = (heading: string) => page.split(`### ${heading}\n`)[1]?.split(/^##/m)[0] ?? '';

  it('has every close code, and every text under its code', () => {
    for (const { client } of reasons)
      if (client) assert.ok(section(`Close ${client.code}`).includes(client.reason), client.reason);
  });

  it('has every HTTP status', () => {
    for (const status of [400, 401, 403, 404, 426, 429, 431, 503])
      assert.notEqual(section(`HTTP ${status}`), '');
  });

  it('has the reasons for which tokens are refused, in the words of the log', async (t) => {
    const { issuer, authenticator } = await bench(t, {
      config: { issuer: 'https://id.test', audiences: ['gateway'] },
    });
    const now = Math.floor(Date.now() / 1000);
    const good = { iss: 'https://id.test', aud: 'gateway' };
    const tokens = [
      issuer.sign({ ...good, exp: now - 60 }),
      issuer.sign({ ...good, nbf: now + 60 }),
      issuer.sign({ ...good, iss: 'other' }),
      issuer.sign({ ...good, aud: 'other' }),
      issuer.sign({ ...good, aud: undefined }),
      issuer.sign({ ...good, sub: '' }),
      `${issuer.sign(good).slice(0, -40)}${'A'.repeat(40)}`,
      'opaque',
    ];
    for (const token of tokens) {
      const why = await Promise.resolve(authenticator.authenticate(token)).then(
        () => 'none',
        (error: Error) => error.message,
      );
      const told = why.replaceAll(/(?<=: )"[^"]*"/g, '"…"').replace(/\d+(?= s)/, '…');
      assert.ok(section('Close 1008').includes(`\`${told}\``), why);
    }
  });

  it('quotes log lines that the source has', () => {
    const source = readdirSync(join(ROOT, 'internal'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => read(join('internal', name)))
      .join('\n');
    const lines = [...page.replaceAll(/\s+/g, ' ').matchAll(/`([a-z]+(?: [a-z]+,?)+(?:: [a-z ]+)?)`/g)].map(
      ([, line = '']) => line,
    );
    assert.ok(lines.length > 5);
    assert.deepEqual(
      lines.filter((line) => !source.includes(line) && !OTHERS_WORDS.has(line)),
      [],
    );
  });
});

/** Words in backticks that are no log lines. */
const OTHERS_WORDS = new Set(['signature verification failed', 'docker stop -t']);

const ISSUER_DEFAULTS = { audiences: [], algorithms: ['RS256'], rolesClaims: undefined } as const;

describe('snippets', () => {
  for (const page of PAGES) {
    const routes = blocks(page, 'yaml').filter((text) => {
      const value: unknown = parse(text);
      const list: unknown =
        typeof value === 'object' && value !== null && 'routes' in value ? value.routes : value;
      return Array.isArray(list) && typeof list[0] === 'object' && 'prefix' in list[0];
    });
    if (routes.length > 0)
      it(`of routes in ${page} are taken by the route reader`, async (t) => {
        for (const text of routes) assert.deepEqual(linesOf(await readRoutes(t, text)), [], text);
      });
    const environments = blocks(page, 'env');
    if (environments.length > 0)
      it(`of variables in ${page} are taken as they are`, (t) => {
        const issuers = put(directory(t), 'issuers.yaml', '- {name: a, issuer: https://a}');
        for (const text of environments) {
          const env: Record<string, string | undefined> = parseEnv(text);
          if (env.ISSUERS_FILE !== undefined) env.ISSUERS_FILE = issuers;
          assert.deepEqual(linesOf(readEnvironment(env)), [], text);
        }
      });
    const issuers = blocks(page, 'yaml').filter((text) => {
      const value: unknown = parse(text);
      return Array.isArray(value) && typeof value[0] === 'object' && 'issuer' in value[0];
    });
    if (issuers.length > 0)
      it(`of issuers in ${page} are taken as they are`, (t) => {
        for (const text of issuers)
          assert.deepEqual(
            linesOf(readIssuers(put(directory(t), 'issuers.yaml', text), ISSUER_DEFAULTS)),
            [],
            text,
          );
      });
  }

  /** With a certificate and its key for every file that the snippet names. */
  async function readRoutes(t: TestContext, text: string): Promise<object> {
    const folder = directory(t);
    const { cert, key } = await certificate(folder, 'any');
    let local = text.replaceAll(/((?:ca|cert|key)File: )\/?([\w./-]+)/g, '$1$2');
    for (const [, kind, name = ''] of local.matchAll(/(ca|cert|key)File: ([\w./-]+)/g)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), readFileSync(kind === 'key' ? key : cert));
    }
    const rsa = { type: 'pkcs8', format: 'pem' } as const;
    if (text.includes('privateKeyFile: /run/keys/payload.pem')) {
      local = local.replace('/run/keys/payload.pem', 'payload.pem');
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      writeFileSync(join(folder, 'payload.pem'), privateKey.export(rsa));
    }
    for (const [, name = ''] of text.matchAll(/\bfiles: ([\w.-]+)/g)) mkdirSync(join(folder, name));
    for (const [, name = ''] of text.matchAll(/\bschemas: ([\w.-]+)/g))
      writeFileSync(join(folder, name), text.includes('upstream: ws') ? 'rpc: {}' : 'endpoints: []');
    return parseRoutes(local, join(folder, 'routes.yaml'), {
      ...NO_BACKENDS,
      respondVariables: { NODE_NAME: 'node-1' },
    });
  }
});
