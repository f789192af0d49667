import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseEnv } from 'node:util';
import { Refused } from '../../internal/config/environment/readers.js';
import { readVariable, VARIABLES, type Variable } from '../../internal/config/environment/variables.js';
import { k8s } from '../support/kubernetes/render.js';
import { variablesOf } from './pod-files.js';
import { CHART_VALUES, EVERY_VARIABLE, renders } from './renders.js';

const variables = new Map(Object.entries<Variable<unknown>>(VARIABLES));
const secrets = [...variables].filter(([, { secret }]) => secret).map(([name]) => name);
const plain = [...variables.keys()].filter((name) => !secrets.includes(name));
const known = new Set([...plain, ...secrets.map((name) => `${name}_FILE`)]);

/** The part of values.schema.json that says what a property may be. */
interface Allowed {
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Allowed>>;
  readonly items?: Allowed;
}
const schema: Allowed = JSON.parse(readFileSync(k8s('chart/values.schema.json'), 'utf8'));
const config = schema.properties?.config?.properties ?? {};

describe('the variables of k8s/', () => {
  const made = renders();

  for (const { name, objects } of made) {
    it(`are ones that the gateway reads: ${name}`, () => {
      assert.deepEqual(
        Object.keys(variablesOf(objects)).filter((variable) => !known.has(variable)),
        [],
      );
    });
  }

  it('are all there in the base', () => {
    const base = Object.keys(parseEnv(readFileSync(k8s('base/gateway.env'), 'utf8')));
    assert.deepEqual(new Set(base), new Set(plain));
  });

  it('are all there in the chart', () => {
    const full = made.find(({ name }) => name === 'chart with every variable');
    const own = made.find(({ name }) => name === 'chart with TLS of its own');
    const named = new Set([
      ...[full, own].flatMap((render) => Object.keys(variablesOf(render?.objects ?? []))),
      ...Object.keys(config),
    ]);
    assert.deepEqual(
      plain.filter((name) => !named.has(name)),
      [],
    );
    assert.deepEqual(new Set(Object.keys(config)), new Set(Object.keys(EVERY_VARIABLE)));
    const { existingKeys, values } = schema.properties?.secret?.properties ?? {};
    assert.deepEqual(new Set(existingKeys?.items?.enum), new Set(secrets));
    assert.deepEqual(new Set(Object.keys(values?.properties ?? {})), new Set(secrets));
  });

  it("have the gateway's own defaults in the base, where the base does not say that it sets them", () => {
    const [, defaults = ''] = readFileSync(k8s('base/gateway.env'), 'utf8').split(
      "# The gateway's own defaults.",
    );
    const written = Object.entries(parseEnv(defaults));
    assert.ok(written.length > 40);
    for (const [name, value] of written) assert.equal(value, variables.get(name)?.default ?? '', name);
  });

  it('hold in the chart what the gateway reads out of its values', () => {
    const full = made.find(({ name }) => name === 'chart with every variable');
    const given = Object.entries(variablesOf(full?.objects ?? []));
    for (const [name, text] of given) {
      const changed = (CHART_VALUES['every variable'] as { config: Record<string, unknown> }).config[name];
      if (changed !== EVERY_VARIABLE[name]) continue;
      const variable = variables.get(name);
      if (variable !== undefined) assert.equal(text, variable.default ?? '', name);
    }
  });

  it('can be any of the words in the chart that the gateway knows, and no other', () => {
    for (const [name, { enum: words }] of Object.entries(config)) {
      const variable = variables.get(name);
      if (words === undefined || variable === undefined) continue;
      for (const word of words) {
        const read = readVariable(variable, word === null ? undefined : String(word));
        assert.ok(!(read instanceof Refused), `${name}=${word}`);
      }
      const allowed = variable.reader.allowed.replace(/^one of /, '').split(/, | or /);
      assert.deepEqual(
        new Set(words.filter((word) => word !== '' && word !== null).map(String)),
        new Set(allowed),
      );
    }
  });
});
