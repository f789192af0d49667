import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { RULES_FILE, type RuleText, readRules, withoutThresholds } from './alert-rules.js';
import { exportedNames, namesIn } from './metric-names.js';

interface UnitTest {
  readonly name: string;
  readonly promql_expr_test: readonly { readonly exp_samples: readonly { readonly labels: string }[] }[];
}

const promtool = (...args: readonly string[]) => promisify(execFile)('promtool', args);
const UNIT_TESTS = fileURLToPath(new URL('alerts.test.yml', import.meta.url));
const RUNBOOK = /^docs\/troubleshooting\.md#([\w-]+)$/;

describe('the alert rules', () => {
  let rules: readonly RuleText[];
  let alerts: readonly RuleText[];
  before(async () => {
    rules = await readRules();
    alerts = rules.filter(({ alert }) => alert !== undefined);
  });

  it('are good to promtool', async () => {
    await promtool('check', 'rules', RULES_FILE);
  });

  it('go by metrics that promtool finds well named and explained', async () => {
    const metrics = new Metrics(10);
    metrics.collectProcessMetrics();
    metrics.countAuthSuccess('a"b', 'c');
    const checked = promtool('check', 'metrics');
    checked.child.stdin?.end(await metrics.scrape());
    await checked.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
  });

  it('fire when they should and are silent when not', async () => {
    await promtool('test', 'rules', UNIT_TESTS).catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
  });

  it('have a unit test each, in which they are silent first and fire later', async () => {
    const { tests } = parse(await readFile(UNIT_TESTS, 'utf8')) as { tests: UnitTest[] };
    assert.deepEqual(
      new Set(tests.map(({ name }) => name)),
      new Set(rules.map(({ alert, record }) => alert ?? record)),
    );
    for (const { alert } of alerts) {
      const [first, ...later] = tests.find(({ name }) => name === alert)?.promql_expr_test ?? [];
      assert.deepEqual(first?.exp_samples, [], `${alert} is silent first`);
      const fires = later.some(({ exp_samples }) =>
        exp_samples.some(({ labels }) => labels === `{alertname="${alert}"}`),
      );
      assert.ok(fires, `${alert} fires later`);
    }
  });

  it('say how bad it is, what is the matter and where to read on', () => {
    for (const { alert, labels, annotations } of alerts) {
      assert.match(alert ?? '', /^WsGateway[A-Z]/);
      assert.ok(['critical', 'warning'].includes(labels?.severity ?? ''), `severity of ${alert}`);
      assert.ok(annotations?.summary, `summary of ${alert}`);
      assert.ok(annotations?.description, `description of ${alert}`);
      assert.match(annotations?.runbook ?? '', RUNBOOK, `runbook of ${alert}`);
    }
  });

  it('are each in docs/monitoring.md, and no others', async () => {
    const page = await readFile(new URL('../../docs/monitoring.md', import.meta.url), 'utf8');
    const named = new Set([...page.matchAll(/\bWsGateway[A-Z]\w*/g)].map(([name]) => name));
    assert.deepEqual(named, new Set(alerts.map(({ alert }) => alert)));
  });

  it('ask for series that the gateway exports or that are recorded', async () => {
    const names = await exportedNames();
    const recorded = new Set(rules.map(({ record }) => record));
    for (const { expr } of rules) {
      assert.notEqual(namesIn(expr).length, 0, expr);
      for (const name of namesIn(expr))
        assert.ok(names.has(name) || recorded.has(name), `${name} in ${expr}`);
    }
  });

  it('lead to a heading of docs/troubleshooting.md', async () => {
    const page = await readFile(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8');
    const anchors = new Set([...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading ?? '')));
    for (const { alert, annotations } of alerts) {
      const anchor = RUNBOOK.exec(annotations?.runbook ?? '')?.[1];
      assert.ok(anchor !== undefined && anchors.has(anchor), `#${anchor} of ${alert}`);
    }
  });
});

it('an expression without its thresholds still joins what it joins', () => {
  for (const [expression, expected] of [
    ['up{job=~".*x.*",a!="b"} == 0', 'up{job=~".*x.*",a!="b"} == bool 0'],
    ['absent(up{job="}>"})', '(up{job="}>"})'],
    ['a / b >= 0.3 and rate(a{x="1"}[5m]) > 0.1', 'a / b >= bool 0.3 and rate(a{x="1"}[5m]) > bool 0.1'],
  ] as const)
    assert.equal(withoutThresholds(expression), expected);
});

/** The anchor of a heading, as GitHub makes it. */
function slug(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
