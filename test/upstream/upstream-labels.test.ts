import assert from 'node:assert/strict';
import { it } from 'node:test';
import { makeLab, routeTo } from './lab.js';

it('of more than 200 upstreams those are told apart that the table names first, whichever are dialled first', (t) => {
  const { upstreams, metrics } = makeLab();
  t.after(() => upstreams.stop());
  const urls = Array.from({ length: 201 }, (_, at) => `ws://user:secret@host-${at}:81/a?b=c`);
  upstreams.apply({ routes: [routeTo(urls.slice(0, 100)), routeTo(urls.slice(100))] });
  const labels = Array.from(urls, (_, at) => metrics.upstreamLabel(`ws://host-${200 - at}:81/a`));
  assert.equal(labels[0], '_other');
  assert.deepEqual(
    labels.slice(1),
    Array.from({ length: 200 }, (_, at) => `ws://host-${199 - at}:81/a`),
  );
});

it('an upstream that depends on who is calling is called by what the table says', (t) => {
  const { upstreams, metrics } = makeLab();
  t.after(() => upstreams.stop());
  const name = 'ws://{desktop}:29781/';
  const target = { name, scheme: 'ws:', host: 'desk', port: '29781', path: '/' };
  const others = Array.from({ length: 200 }, (_, at) => `ws://host-${at}/`);
  upstreams.apply({ routes: [routeTo([], { target }), routeTo(others)] });
  assert.equal(metrics.upstreamLabel('ws://host-199/'), '_other');
  assert.equal(metrics.upstreamLabel(name), name);
});
