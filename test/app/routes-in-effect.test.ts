import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RoutesInEffect } from '../../internal/app/routes-in-effect.js';
import type { Route } from '../../internal/config/config.js';
import { createRouteTable } from '../../internal/config/routes/table.js';
import { NO_LIMITS } from '../../internal/gateway/listener-limits.js';
import { WEBSOCKET_DEFAULTS } from '../config/route-defaults.js';

const tableOf = (prefix: string) =>
  createRouteTable([{ ...WEBSOCKET_DEFAULTS, prefix, upstreams: ['ws://a/'], weights: [1] }]);

/** Whoever follows the table, and what they were told, by its first prefix. */
function followed(prefix: string) {
  const endpoints: (string | undefined)[] = [];
  const targets: (string | undefined)[] = [];
  const reads: (() => void)[] = [];
  const told = (list: (string | undefined)[], routes: readonly Route[]) => list.push(routes[0]?.prefix);
  const routes = new RoutesInEffect(
    tableOf(prefix),
    {
      upstreams: {
        apply: (table) => {
          told(endpoints, table.routes);
          return new Set();
        },
      },
      targets: {
        apply: (all) => {
          told(targets, all);
          return new Promise((resolve) => reads.push(resolve));
        },
      },
    },
    { sessions: [], exchanges: { removed: () => {} } },
    { prepareRoutes: () => {} },
    NO_LIMITS,
  );
  const read = () => {
    for (const done of reads.splice(0)) done();
  };
  return { routes, endpoints, targets, read };
}

describe('a table that comes while the gateway starts', () => {
  it('is not taken back by the start', async () => {
    const { routes, endpoints, targets, read } = followed('/old');
    const applied = routes.apply(tableOf('/new'));
    read();
    await applied;
    const started = routes.start();
    read();
    await started;
    assert.deepEqual(
      [endpoints, targets],
      [
        ['/new', '/new'],
        ['/new', '/new'],
      ],
    );
    assert.equal(routes.table.routes[0]?.prefix, '/new');
  });

  it('wins, too, when what it names is still being read then', async () => {
    const { routes, endpoints, targets, read } = followed('/old');
    const applied = routes.apply(tableOf('/new'));
    const started = routes.start();
    read();
    await Promise.all([applied, started]);
    assert.deepEqual(
      [endpoints, targets],
      [
        ['/old', '/new'],
        ['/new', '/new'],
      ],
    );
  });
});
