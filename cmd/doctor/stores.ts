import { createStores } from '../../internal/app/stores.js';
import type { Config } from '../../internal/config/config.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import type { Finding } from './finding.js';
import { HeardLog } from './heard-log.js';

/** Whether Redis and Postgres answer, and let the gateway do what it must. */
export async function stores(config: Config): Promise<readonly Finding[]> {
  const wanted = [
    ...(config.redisUrls.length > 0 ? ['redis'] : []),
    ...(config.postgresDsn === undefined ? [] : ['postgres']),
  ];
  if (wanted.length === 0) return [];
  const heard = new HeardLog();
  const metrics = new Metrics(config.telemetry.maxUsers);
  const all = await createStores(config, metrics, heard.log);
  try {
    await all.start();
    const { values } = await metrics.process.dependencyUp.get();
    const up = (name: string) => values.find(({ labels }) => labels.dependency === name)?.value === 1;
    const complaints = heard.complaints;
    return [
      ...wanted.map(
        (about): Finding =>
          up(about)
            ? { about, state: 'good', text: 'answers' }
            : { about, state: 'bad', text: complaints.join('; ') || 'does not answer' },
      ),
      ...(wanted.every(up)
        ? complaints.map((text): Finding => ({ about: 'stores', state: 'doubtful', text }))
        : []),
    ];
  } finally {
    await all.stop();
  }
}
