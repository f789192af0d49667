import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { it } from 'node:test';
import type { HttpRoute } from '../../../internal/config/config.js';
import { askUpstream } from '../../../internal/exchange/bootstrap/whole-answer.js';
import type { HttpRequest } from '../../../internal/upstream/http/sending.js';

it('a question to an upstream that cannot be begun leaves nothing behind', async () => {
  const { signal } = new AbortController();
  const upstreams = {
    send: () => {
      throw new Error('no such route');
    },
  };
  const asking = askUpstream(upstreams, {} as HttpRoute, {} as HttpRequest, { withinMs: 1_000, signal });
  await assert.rejects(asking, /no such route/);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});
