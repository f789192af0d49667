import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasUpstreams } from '../../../internal/config/config.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { directory, linesOf, put } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

function parse(text: string, environment: Record<string, string | undefined> = {}) {
  return parseRoutes(text, 'routes.yaml', {
    ...NO_BACKENDS,
    respondVariables: { NODE_NAME: 'node-1' },
    environment,
  });
}

function tableOf(text: string, environment: Record<string, string | undefined> = {}) {
  const result = parse(text, environment);
  assert.ok('table' in result, linesOf(result).join('\n'));
  return result.table.routes;
}

function routeOf(text: string, environment: Record<string, string | undefined> = {}) {
  const [route] = tableOf(text, environment);
  assert.ok(route !== undefined && hasUpstreams(route));
  return route;
}

const problemsOf = (text: string, environment: Record<string, string | undefined> = {}) =>
  linesOf(parse(text, environment));

describe('placeholders in routes.yaml', () => {
  it('stand for variables, in any value', () => {
    const text = `
targets:
  desktop: {claim: host, allow: ["*.\${ZONE}"]}
routes:
  - prefix: /\${NAME}
    upstream: ["ws://\${HOST_A}:\${PORT_A}/x", "ws://b"]
    requireRoles: ["\${ROLE}"]
  - {prefix: /d, upstream: "ws://{desktop}:1/"}
`;
    const route = routeOf(text, { NAME: 'chat', HOST_A: 'a', PORT_A: '81', ROLE: '7', ZONE: 'example.com' });
    assert.equal(route.prefix, '/chat');
    assert.deepEqual(route.upstreams, ['ws://a:81/x', 'ws://b']);
    assert.deepEqual(route.requireRoles, ['7'], 'what is quoted is text');
  });

  it('have a default, for a variable that is empty too', () => {
    const text = `- {prefix: /a, upstream: "ws://\${WHERE:-a:82}/\${REST:-}"}\n`;
    assert.deepEqual(routeOf(text).upstreams, ['ws://a:82/']);
    assert.deepEqual(routeOf(text, { WHERE: '' }).upstreams, ['ws://a:82/']);
    assert.deepEqual(routeOf(text, { WHERE: 'b', REST: 'c' }).upstreams, ['ws://b/c']);
  });

  it('can be a number or true and false where they stand without quotes', () => {
    const text = `- prefix: /a\n  upstream: ws://a\n  appendPath: \${APPEND}\n  rateLimit:\n    perSecond: \${RATE}\n    burst: \${BURST:-007}\n`;
    const route = routeOf(text, { APPEND: 'true', RATE: '0.5' });
    assert.equal(route.appendPath, true);
    assert.deepEqual(route.rateLimit, { perSecond: 0.5, burst: 7 });
  });

  it('come from the file that NAME_FILE names', (t) => {
    const file = put(directory(t), 'host', 'inner.example\n');
    assert.deepEqual(
      routeOf(`- {prefix: /a, upstream: "ws://\${WHERE}"}\n`, { WHERE_FILE: file }).upstreams,
      ['ws://inner.example'],
    );
    assert.deepEqual(
      problemsOf(`- {prefix: /a, upstream: "ws://\${WHERE}"}\n`, { WHERE_FILE: '/nowhere/host' }),
      [`routes.yaml:1: upstream: \${WHERE} is not there: WHERE_FILE "/nowhere/host" does not exist`],
    );
  });

  it('add no key and no route, whatever a variable holds', () => {
    const text = `- prefix: /a\n  upstream: ws://a\n  tls: \${TLS}\n`;
    assert.deepEqual(problemsOf(text, { TLS: '{insecureSkipVerify: true}' }), [
      `routes.yaml:3: tls: "\${TLS}" is not allowed: must be a mapping {caFile, certFile, keyFile, serverName, insecureSkipVerify}`,
    ]);
    const lines = 'x\n- prefix: /b\n  upstream: ws://b';
    assert.deepEqual(problemsOf(`- prefix: /a\n  upstream: ws://\${HOST}\n`, { HOST: lines }), [
      `routes.yaml:2: upstream: "ws://\${HOST}" is not allowed: must be a ws:// or wss:// URL without credentials and fragment, or all of them http:// or https:// URLs`,
    ]);
  });

  it('of variables that are not set are problems of their lines', () => {
    const text = `- prefix: /a\n  upstream: ws://\${WHERE}\n  tls:\n    caFile: \${CA}/ca.pem\n`;
    assert.deepEqual(problemsOf(text), [
      `routes.yaml:2: upstream: \${WHERE} is not set: set the variable, or write a default as in \${WHERE:-default}`,
      `routes.yaml:4: tls.caFile: \${CA} is not set: set the variable, or write a default as in \${CA:-default}`,
    ]);
  });

  it('that are none are problems, unless the text itself is meant', () => {
    for (const text of [`\${`, `\${}`, `\${1A}`, `\${A B}`, `\${A-b}`, `\${A:b}`])
      assert.match(
        problemsOf(`- {prefix: /a, upstream: "ws://a/${text}"}\n`, { A: 'x' }).join('\n'),
        /^routes\.yaml:1: upstream: \$\{ begins no placeholder: must be \$\{NAME\}/,
        text,
      );
    const { upstreams } = routeOf(`- {prefix: /a, upstream: "ws://a/$\${A}/$$/$A"}\n`, { A: 'x' });
    assert.deepEqual(upstreams, [`ws://a/\${A}/$$/$A`]);
  });

  it('never show what they stand for', () => {
    const secret = 'hunter2-hunter2';
    const text = `
- prefix: /a
  upstream: ws://a
  protocol: \${WORD}
  onRemove: "\${WORD}"
  rateLimit:
    perSecond: \${NUMBER}
    burst: 1
- prefix: /b
  upstream: "wss://\${WORD}:x"
  tls: {caFile: "/run/\${WORD}", serverName: "\${WORD}!"}
- prefix: /c
  upstream: ws://c
  schemas: "\${WORD}"
`;
    const problems = problemsOf(text, { WORD: secret, NUMBER: '-12345' }).join('\n');
    assert.doesNotMatch(problems, /hunter2|12345/);
    assert.match(problems, /routes\.yaml:4: protocol: "\$\{WORD\}" is not allowed: must be one of mqtt, raw/);
    assert.match(problems, /routes\.yaml:7: rateLimit\.perSecond: "\$\{NUMBER\}" is not allowed/);
    assert.match(problems, /serverName: "\$\{WORD\}!" is not allowed/);
    assert.match(problems, /schemas: "\$\{WORD\}" does not exist/);
  });

  it('do not reach secrets of the gateway', () => {
    const text = `- {prefix: /a, upstream: "ws://a/\${ADMIN_TOKEN}/\${POSTGRES_DSN:-x}"}\n`;
    assert.deepEqual(problemsOf(text, { ADMIN_TOKEN: 'top-secret' }), [
      `routes.yaml:1: upstream: \${ADMIN_TOKEN} is not allowed: it is a secret of the gateway's own`,
    ]);
  });

  it('in the body of a fixed answer are those of RESPOND_VARIABLES, as ever', () => {
    const [route] = tableOf(`- {prefix: /a, auth: public, respond: {body: "\${NODE_NAME}"}}\n`, {
      NODE_NAME: 'another',
    });
    assert.ok(route?.kind === 'respond');
    assert.equal(route.respond.body, 'node-1');
    assert.match(
      problemsOf(`- {prefix: /a, auth: public, respond: {body: "\${OTHER}"}}\n`, { OTHER: 'x' }).join('\n'),
      /respond\.body: \$\{OTHER\} is not allowed: RESPOND_VARIABLES lists what may stand here/,
    );
  });
});
