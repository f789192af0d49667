import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { loadConfiguration } from '../../internal/config/environment/environment.js';
import { VARIABLES, type Variable } from '../../internal/config/environment/variables.js';
import { ENTRY_KEYS } from '../../internal/config/routes/schema.js';
import { TARGET_KEYS } from '../../internal/config/routes/targets.js';
import { linesOf } from './files.js';

const root = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const read = (name: string) => readFileSync(root(name), 'utf8');
const variables = Object.entries<Variable<unknown>>(VARIABLES);
const secretFiles = variables.filter(([, { secret }]) => secret).map(([name]) => `${name}_FILE`);

/** Cells of the table rows of a Markdown text. */
function rowsOf(markdown: string): string[][] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('\\', '')),
    );
}

describe('.env.example', () => {
  const text = read('.env.example');
  const lines = [...text.matchAll(/^#?([A-Z][A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);

  it('holds every variable once, and no other', () => {
    const names = new Set(lines.map(([name]) => name));
    assert.equal(names.size, lines.length, 'no variable twice');
    assert.deepEqual(names, new Set([...variables.map(([name]) => name), ...secretFiles]));
  });

  it('shows the defaults', () => {
    for (const [name, value] of lines) {
      if (name === 'ROUTE_FILE' || name === 'JWKS_URL' || secretFiles.includes(name ?? '')) continue;
      assert.equal(value, variables.find(([other]) => other === name)?.[1].default ?? '', name);
    }
  });

  it('and routes.yaml beside it start as they are', () => {
    const env = parseEnv(text) as Record<string, string>;
    const result = loadConfiguration({ ...env, ROUTE_FILE: root(env.ROUTE_FILE ?? '') });
    assert.deepEqual(linesOf(result), []);
    assert.ok('config' in result);
    assert.ok(result.table.routes.length > 2);
  });

  it('starts with every line taken in', () => {
    const values = Object.fromEntries(lines.map(([name, value]) => [name, value]));
    assert.deepEqual(linesOf(loadConfiguration({ ...values, ROUTE_FILE: root('routes.yaml') })), []);
  });
});

describe('docs/configuration.md', () => {
  const text = read('docs/configuration.md');
  const [environment = '', routesFile = ''] = text.split('\n## Routes file\n');
  const [routes = '', targets = ''] = routesFile.split('\n### Upstreams chosen by who is calling\n');

  it('holds every variable with what is allowed and its default, and no other', () => {
    const rows = rowsOf(environment).filter(([name]) => name !== 'variable');
    assert.equal(rows.length, variables.length, 'no variable twice');
    assert.deepEqual(
      new Map(rows.map(([name, , allowed, fallback]) => [name, [allowed, fallback]])),
      new Map(variables.map(([name, variable]) => [name, [variable.reader.allowed, variable.default ?? '']])),
    );
    for (const [name, meaning] of rows) assert.ok(meaning, `${name} is explained`);
  });

  it('names the file variables of the secrets', () => {
    for (const name of secretFiles) assert.ok(environment.includes(`\`${name}\``), name);
  });

  it('holds every key of a route, and no other', () => {
    const documented = rowsOf(routes).map(([key]) => key?.split('.')[0]);
    assert.deepEqual(new Set(documented), new Set(['key', ...ENTRY_KEYS]));
  });

  it('holds every key of a target, and no other', () => {
    const documented = rowsOf(targets).map(([key]) => key?.split('.')[0]);
    assert.deepEqual(new Set(documented), new Set(['key of a target', ...TARGET_KEYS]));
  });

  it('holds the keys of nested mappings', () => {
    const documented = new Set(rowsOf(routes).map(([key]) => key?.split('.').slice(0, 2).join('.')));
    const nested = {
      auth: ['header', 'stripDomain', 'name', 'roles', 'separator', 'from'],
      rateLimit: ['perSecond', 'perMinute', 'burst', 'by'],
      timeouts: ['connect', 'answer', 'idle', 'write'],
      upstream: ['url', 'weight'],
      requestHeaders: ['set', 'remove'],
      responseHeaders: ['set', 'remove'],
      bootstrap: ['cookie', 'check', 'mint', 'exchange', 'redirect'],
      cors: ['origins', 'methods', 'headers', 'expose', 'credentials', 'maxAge'],
      respond: ['status', 'body', 'headers'],
      logout: ['redirect', 'everywhere'],
      health: ['path', 'status'],
      tls: ['caFile', 'certFile', 'keyFile', 'serverName', 'insecureSkipVerify'],
      mqtt: ['roles'],
    };
    for (const [key, names] of Object.entries(nested)) {
      for (const name of names) assert.ok(documented.has(`${key}.${name}`), `${key}.${name}`);
    }
  });
});
