import { VerificationKeys } from '../../internal/auth/keys/keys.js';
import type { Config } from '../../internal/config/config.js';
import { fromUnknown } from '../../internal/errors.js';
import { Metrics } from '../../internal/telemetry/metrics.js';
import type { Finding } from './finding.js';
import { HeardLog } from './heard-log.js';

/** Whether tokens could be verified now. */
export async function keys({ verification, telemetry }: Config): Promise<readonly Finding[]> {
  const about = 'keys';
  if (verification.keySource.kind === 'none' && verification.introspection !== undefined)
    return [{ about, state: 'good', text: 'none: the introspection endpoint has the word on every token' }];
  if (verification.keySource.kind === 'none')
    return [{ about, state: 'doubtful', text: 'no key source: no token is looked at' }];
  const heard = new HeardLog();
  const own = new VerificationKeys(verification, heard.log, new Metrics(telemetry.maxUsers));
  try {
    await own.start();
    if (!own.ready) return [{ about, state: 'bad', text: heard.complaints.join('; ') }];
    const { kids = [] } = (heard.lines.find(({ kids }) => Array.isArray(kids)) ?? {}) as { kids?: unknown[] };
    const count = kids.length === 0 ? 'loaded' : `${kids.length} loaded: ${kids.map(String).join(', ')}`;
    return [{ about, state: 'good', text: count }];
  } catch (thrown) {
    return [{ about, state: 'bad', text: fromUnknown(thrown).message }];
  } finally {
    own.stop();
  }
}
