import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readRules } from './alert-rules.js';
import { type Dashboard, type Panel, readDashboard } from './dashboard.js';
import { exportedNames, namesIn } from './metric-names.js';

describe('the dashboard', () => {
  let dashboard: Dashboard;
  let panels: readonly Panel[];
  before(async () => {
    dashboard = await readDashboard();
    panels = dashboard.panels.filter(({ type }) => type !== 'row');
  });

  it('has a data source, a job, an instance and a route to choose', () => {
    assert.deepEqual(
      dashboard.templating.list.map(({ name, type }) => [name, type]),
      [
        ['datasource', 'datasource'],
        ['job', 'query'],
        ['instance', 'query'],
        ['route', 'query'],
      ],
    );
  });

  it('keeps every panel on the grid, beside and below the others', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.equal(taken.get(`${x} ${y}`), undefined, `${title} overlaps`);
          taken.set(`${x} ${y}`, title);
        }
    }
    const ids = dashboard.panels.map(({ id }) => id);
    assert.deepEqual(ids, [...new Set(ids)]);
  });

  it('has no two panels of one name, and values in every legend', () => {
    const titles = panels.map(({ title }) => title);
    assert.deepEqual(titles, [...new Set(titles)]);
    for (const { title, type, options } of panels)
      if (type === 'timeseries')
        assert.deepEqual(
          [options?.legend?.displayMode, options?.legend?.calcs],
          ['table', ['lastNotNull', 'max']],
          title,
        );
  });

  it('chooses the route wherever there is one', () => {
    const failures = 'Authentication failures';
    const routed =
      /(?:ws_(?:active_sessions|messages_total|bytes_total|session_closed_total|upstream_dials?_\w+)|http_request\w+)\{[^}]*\}/g;
    // Failed authentications are not counted by route.
    for (const { title, targets = [] } of panels.filter(({ title }) => title !== failures))
      for (const { expr } of targets)
        for (const [selector] of expr.matchAll(routed)) assert.match(selector, /route=~"\$route"/, title);
  });

  it('says what each panel shows, in which unit', () => {
    for (const { title, description, type, fieldConfig } of panels) {
      assert.ok(description, `description of ${title}`);
      if (type !== 'state-timeline') assert.ok(fieldConfig.defaults.unit, `unit of ${title}`);
    }
  });

  it('asks the chosen data source for the chosen instances, for series that exist', async () => {
    const names = await exportedNames();
    const recorded = new Set((await readRules()).map(({ record }) => record));
    for (const { title, targets = [] } of panels) {
      assert.notEqual(targets.length, 0, title);
      for (const { expr, datasource } of targets) {
        assert.deepEqual(datasource, { type: 'prometheus', uid: '$' + '{datasource}' }, title);
        for (const name of namesIn(expr))
          assert.ok(names.has(name) || recorded.has(name), `${name} in ${title}`);
        const selected = expr.split('{job=~"$job",instance=~"$instance"').length - 1;
        assert.equal(selected, namesIn(expr).length, `${title}: ${expr}`);
      }
    }
  });

  it('shows every metric of the gateway', async () => {
    const shown = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr))));
    const own = [...(await exportedNames())].filter(
      (name) => /^(ws|http)_/.test(name) && !/_(sum|count)$/.test(name),
    );
    assert.deepEqual(
      own.filter((name) => !shown.has(name)),
      [],
    );
  });
});
