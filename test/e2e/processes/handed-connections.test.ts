import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RawClient } from '../../support/clients/raw-client.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway/gateway.js';

const CROWD = 40;

/** Each way a connection can come in. */
const WAYS = {
  handles: {},
  streams: {
    NODE_OPTIONS: `--require ${fileURLToPath(new URL('../../support/gateway/without-handles.cjs', import.meta.url))}`,
  },
} as const;

for (const [way, env] of Object.entries(WAYS))
  describe(`connections handed to workers, on ${way}`, () => {
    it('end with a worker that dies before it has taken them', async (t) => {
      const gateway = await startGateway({
        env: { WORKERS: '2', LISTENER: 'node', ...env },
        routes: [{ prefix: '/open', upstream: 'ws://127.0.0.1:9', auth: 'public' }],
      });
      t.after(() => gateway.stop());
      const started = () => gateway.logs.filter(({ msg }) => msg === 'worker started');
      await eventually(() => gateway.logs.some(({ msg }) => msg === 'all workers are listening'), 30_000);
      const descriptors = await gateway.fdCount();
      const victim = Number(started().find(({ worker }) => worker === 2)?.pid);
      process.kill(victim, 'SIGSTOP');
      const clients = await Promise.all(Array.from({ length: CROWD }, () => RawClient.connect(gateway.port)));
      for (const client of clients) client.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
      const answered = () => clients.filter(({ received }) => received.length > 0).length;
      // They take turns: the other half has been handed to the worker that takes nothing.
      await eventually(() => answered() >= CROWD / 2 - 1);
      process.kill(victim, 'SIGKILL');
      const answers = await Promise.all(clients.map((client) => client.readHead()));
      assert.ok(answers.includes(undefined), 'none was handed to the worker that died');
      for (const client of clients) client.destroy();
      await eventually(() => started().length === 3, 30_000);
      await eventually(async () => (await gateway.fdCount()) <= descriptors);
    });
  });
