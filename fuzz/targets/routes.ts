import assert from 'node:assert/strict';
import { problemLine } from '../../internal/config/problem.js';
import { parseRoutes } from '../../internal/config/routes/routes.js';
import { kindBy, type Target } from '../target.js';

/** Which no file of this name stands in; nothing that a made-up file names is there. */
const FILE = '/nowhere/routes.yaml';
const CONTEXT = {
  rawBackendUrl: undefined,
  mqttBackendUrl: undefined,
  backendGiven: false,
  keySourceGiven: true,
  environment: { BACKEND: 'ws://b', SECRET: 'hunter2' },
};

/** A routes file: a table, or problems with their lines, and never the value of a secret among them. */
export const routes: Target = {
  name: 'routes',
  maxBytes: 2_048,
  words: [
    '- prefix: /a\n',
    '  upstream: ws://a\n',
    '  upstream: [ws://a, "wss://b"]\n',
    '  protocol: mqtt\n',
    '  mqtt: { roles: username }\n',
    '  auth: { mode: public }\n',
    '  requireRoles: [a]\n',
    '  respond: { status: 200, body: x }\n',
    '  files: /srv\n',
    '  headers: { request: { set: { x: y } } }\n',
    '  rateLimit: { perSecond: 1 }\n',
    '  target: t\n',
    'targets:\n  t:\n    claim: x\n    allow: [b]\n',
    'routes:\n',
    '&a ',
    '*a ',
    '!!str ',
    '!<x> ',
    '<<: ',
    '? ',
    '%YAML 1.1\n---\n',
    '---\n',
    '...\n',
    '|+2\n',
    '>-\n',
    '"\\u0000"',
    '__proto__: ',
    '.nan',
    '0x7fffffffffffffff',
    '[[[[',
    '{a: {b: {',
    '\u2028',
    '\ufeff',
  ],

  run(input) {
    const text = input.toString('utf8');
    const result = parseRoutes(text, FILE, CONTEXT);
    if ('table' in result) {
      assert.ok(result.table.routes.length > 0, 'a table without a route');
      assert.ok(Object.isFrozen(result.table.routes));
      return `table ${kindBy(result.table.routes.flatMap((route) => Object.keys(route)))}`;
    }
    assert.ok(result.problems.length > 0 && result.problems.length <= 51);
    const lines = text.split(/\r\n|\r|\n/).length;
    for (const each of result.problems) {
      const line = Number(/^\/nowhere\/routes\.yaml:(\d+)/.exec(each.name)?.[1] ?? 1);
      assert.ok(line >= 1 && line <= lines, 'a problem with a line that is not there');
      assert.doesNotMatch(problemLine(each), /hunter2|[\r\n]/);
      assert.notEqual(each.message, '');
    }
    // In what they say the operator's own words, and numbers, do not count.
    return kindOf(result.problems[0]?.message ?? '');
  },
};

function kindOf(message: string): string {
  return message.replaceAll(/"[^"]*"|'[^']*'|\d+|[^\x20-\x7e]/g, '').split(/[:,]/, 1)[0] ?? '';
}
