import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadRoutes } from '../../../internal/config/routes/file.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { directory, linesOf, put } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

const GOOD = '- prefix: /a\n  upstream: ws://a\n';

function problemsOf(text: string): string[] {
  const lines = linesOf(parseRoutes(text, 'routes.yaml', NO_BACKENDS));
  for (const line of lines) assert.doesNotMatch(line, /[\r\n]/, 'one line per problem');
  return lines;
}

describe('hostile YAML', () => {
  const refused: [name: string, text: string, message: RegExp][] = [
    ['broken syntax', `${GOOD}- prefix: "/b\n`, /^routes.yaml:\d: YAML: Missing closing "quote/],
    ['tabs as indentation', '- prefix: /a\n\tupstream: ws://a\n', /^routes.yaml:2: YAML: /],
    [
      'a key given twice',
      '- prefix: /a\n  upstream: ws://a\n  prefix: /b\n',
      /^routes.yaml:3: YAML: the key "prefix" is given twice/,
    ],
    [
      'a key that is no word',
      '- prefix: /a\n  upstream: ws://a\n  ? [x]\n  : 1\n',
      /^routes.yaml:3: YAML: a key must be a plain word/,
    ],
    ['a second document', `${GOOD}---\n${GOOD}`, /^routes.yaml:3: YAML: Source contains multiple documents/],
    [
      'a tag that names code',
      '- prefix: !!js/function "x"\n  upstream: ws://a\n',
      /^routes.yaml:1: YAML: Unresolved tag/,
    ],
    ['an alias to nothing', '- prefix: *a\n  upstream: ws://a\n', /^routes.yaml:1: YAML: /],
    [
      'an alias to nothing further down',
      `${GOOD}- prefix: /b\n  upstream: *a\n`,
      /^routes.yaml:4: YAML: an alias without an anchor before it/,
    ],
    [
      'an alias before its anchor',
      '- prefix: /a\n  upstream: *up\n- prefix: /b\n  upstream: &up ws://b\n',
      /^routes.yaml:2: YAML: an alias without an anchor before it/,
    ],
    [
      'an alias inside of its own anchor',
      '- &a\n  prefix: /a\n  upstream: ws://a\n  tls: *a\n',
      /^routes.yaml:4: YAML: an alias inside of what it stands for/,
    ],
    [
      'merge keys',
      `- &a {prefix: /a, upstream: "ws://a"}\n- <<: *a\n  prefix: /b\n`,
      /^routes.yaml:2: <<: is not a key/,
    ],
    [
      'merge keys of YAML 1.1',
      `%YAML 1.1\n---\n- &a {prefix: /a, upstream: "ws://a"}\n- <<: *a\n  prefix: /b\n`,
      /^routes.yaml:4: <<: is not a key/,
    ],
    [
      'booleans of YAML 1.1',
      `%YAML 1.1\n---\n- {prefix: /a, upstream: "ws://a", appendPath: yes}`,
      /^routes.yaml:3: appendPath: "yes"/,
    ],
    ['binary data', '- prefix: !!binary aGk=\n  upstream: ws://a\n', /^routes.yaml:1: prefix: /],
    ['deep flow collections', '['.repeat(200_000), /^routes.yaml:1: YAML: is nested too deeply/],
    ['deep flow mappings', '{a: '.repeat(60_000), /^routes.yaml:1: YAML: is nested too deeply/],
    ['deep lists in one line', '- '.repeat(130_000), /^routes.yaml:1: YAML: is nested too deeply/],
    ['deep keys in one line', '? '.repeat(130_000), /^routes.yaml:1: YAML: is nested too deeply/],
    [
      'deep indentation',
      Array.from({ length: 700 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      /^routes.yaml:66: YAML: is nested too deeply/,
    ],
  ];
  for (const [name, text, message] of refused) {
    it(`${name} is refused with its line`, () =>
      assert.match(problemsOf(text).join('\n'), new RegExp(message, 'm')));
  }

  for (const [name, text, line] of [
    ['a key further in than its neighbour', '- prefix: /a\n   upstream: ws://a\n', 1],
    ['a key further out', '- prefix: /a\nupstream: ws://a\n', 2],
    ['a tab', '- prefix: /a\n\tupstream: ws://a\n', 2],
    ['no space behind the dash', '-prefix: /a\n upstream: ws://a\n', 1],
  ] as const) {
    it(`${name} is one problem, which says how keys stand`, () => {
      const [problem = '', ...others] = problemsOf(text);
      assert.deepEqual(others, []);
      assert.match(
        problem,
        new RegExp(`^routes.yaml:${line}: YAML: .+ \\(keys of one entry stand right below`),
      );
    });
  }

  it('a billion laughs are refused before they are expanded', () => {
    const levels = 'abcdefghi'.split('');
    const text = levels
      .map(
        (name, level) =>
          `- &${name} [${Array(9)
            .fill(level === 0 ? 'x' : `*${levels[level - 1]}`)
            .join(',')}]`,
      )
      .join('\n');
    assert.match(problemsOf(text)[0] ?? '', /Excessive alias count/);
  });

  it('anchors and aliases within bounds are fine', () => {
    const text = `- {prefix: /a, upstream: &up "ws://a"}\n- {prefix: /b, upstream: *up}\n`;
    assert.deepEqual(problemsOf(text), []);
  });

  it('a fault behind an alias is reported at its anchor', () => {
    const text = `- {prefix: /a, upstream: "ws://a", health: &h {path: up}}\n- {prefix: /b, upstream: "ws://b", health: *h}\n`;
    assert.deepEqual(
      problemsOf(text).map((line) => line.split(': ').slice(0, 2).join(': ')),
      ['routes.yaml:1: health.path', 'routes.yaml:1: health.path'],
    );
  });

  it('keys that name the machinery of objects change no object', () => {
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const lines = problemsOf(
        `- prefix: /a\n  upstream: ws://a\n  ${key}: {auth: public, polluted: true}\n`,
      );
      assert.deepEqual(lines, [`routes.yaml:3: ${key}: is not a key that is known here`]);
      const nested = problemsOf(
        `- {prefix: /a, upstream: "wss://a", tls: {${key}: {insecureSkipVerify: true}}}\n`,
      );
      assert.deepEqual(nested, [`routes.yaml:1: tls.${key}: is not a key that is known here`]);
    }
    assert.equal('polluted' in {}, false);
    const alone = problemsOf('- __proto__: {prefix: /a, upstream: "ws://a"}\n');
    assert.ok(
      alone.some((line) => line.includes('prefix: is required')),
      'nothing is inherited',
    );
  });

  it('a file over 256 KiB, not UTF-8, or a device is refused unparsed', (t) => {
    const folder = directory(t);
    const load = (file: string) => linesOf(loadRoutes({ ...NO_BACKENDS, file, fileGiven: true }));
    assert.match(
      load(put(folder, 'large', GOOD.repeat(40_000)))[0] ?? '',
      /large: is larger than 262144 bytes/,
    );
    assert.match(
      load(put(folder, 'latin1', new Uint8Array([0x2d, 0x20, 0xe9])))[0] ?? '',
      /is not UTF-8 text/,
    );
    assert.match(load('/dev/zero')[0] ?? '', /is not a regular file/);
    assert.match(load(folder)[0] ?? '', /is not a regular file/);
    assert.match(load(`${folder}/none`)[0] ?? '', /does not exist/);
  });

  it('a byte order mark and CRLF line ends are fine', (t) => {
    const file = put(directory(t), 'routes.yaml', `\uFEFF${GOOD}`.replaceAll('\n', '\r\n'));
    assert.deepEqual(linesOf(loadRoutes({ ...NO_BACKENDS, file, fileGiven: true })), []);
  });

  it('broken syntax around a URL does not print its credentials', () => {
    for (const text of [
      '- a\n  : b\n"ws://u:hunter2@a"',
      '- prefix: "/a" "ws://u:hunter2@a"',
      '}ws://u:hunter2@a',
    ]) {
      const lines = problemsOf(text);
      assert.ok(lines.length > 0);
      assert.doesNotMatch(lines.join('\n'), /hunter2/);
    }
  });

  it('many keys in one mapping cost no more than their number', () => {
    const text = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n');
    const before = process.cpuUsage();
    problemsOf(`- {prefix: /a, upstream: "ws://a"}\n- ${text.replaceAll('\n', '\n  ')}`);
    assert.ok(process.cpuUsage(before).user < 10_000_000);
  });
});
