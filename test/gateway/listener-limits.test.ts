import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRouteTable } from '../../internal/config/routes/table.js';
import { assertServes, commonLimits, listenerLimits } from '../../internal/gateway/listener-limits.js';
import { HTTP_DEFAULTS, WEBSOCKET_DEFAULTS } from '../config/route-defaults.js';

const upstream = { prefix: '/a', upstreams: ['ws://a/'], weights: [1] };
const messages = (maxMessageBytes?: number) =>
  createRouteTable([{ ...WEBSOCKET_DEFAULTS, ...upstream, maxMessageBytes }]);
const http = createRouteTable([{ ...HTTP_DEFAULTS, ...upstream, upstreams: ['http://a/'] }]);

describe('what a listener can serve that was made at start', () => {
  it('is everything for node', () => {
    const limits = listenerLimits('node', messages(), 1_000);
    assertServes(limits, http);
    assertServes(limits, messages(1_000_000));
  });

  it('is no HTTP for uws, and no larger messages', () => {
    const limits = listenerLimits('uws', messages(2_000), 1_000);
    assert.throws(() => assertServes(limits, http), { code: 'ERR_CONFIG', message: /listener node/ });
    assert.throws(() => assertServes(limits, messages(2_001)), { code: 'ERR_CONFIG', message: /2000 bytes/ });
    assertServes(limits, messages(2_000));
    assertServes(limits, messages());
  });

  it('is for several what each of them can', () => {
    const [first, later] = [messages(2_000), messages()].map((table) => listenerLimits('uws', table, 1_000));
    assert.ok(first !== undefined && later !== undefined);
    assert.deepEqual(commonLimits(first, later), { http: false, messageBytes: 1_000 });
    assert.throws(() => assertServes(commonLimits(first, later), messages(2_000)), { code: 'ERR_CONFIG' });
    const node = listenerLimits('node', http, 1_000);
    assert.deepEqual(commonLimits(node, node), node);
  });
});
