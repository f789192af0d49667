import { TrustedIssuers } from '../../internal/auth/trusted-issuers.js';
import type { Config, VerificationConfig } from '../../internal/config/config.js';
import { fromUnknown } from '../../internal/errors.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import type { Finding } from './finding.js';
import { HeardLog } from './heard-log.js';

/** Whether tokens could be verified now, of each issuer. */
export async function keys({ verification, telemetry }: Config): Promise<readonly Finding[]> {
  const about = 'keys';
  if (verification.keySource.kind === 'none' && verification.introspection !== undefined)
    return [{ about, state: 'good', text: 'none: the introspection endpoint has the word on every token' }];
  if (verification.keySource.kind === 'none')
    return [{ about, state: 'doubtful', text: 'no key source: no token is looked at' }];
  const each =
    verification.issuers.length === 0
      ? [verification]
      : verification.issuers.map((issuer) => ({ ...verification, issuers: [issuer] }));
  return Promise.all(each.map(async (one) => ({ about, ...(await loaded(one, telemetry.maxUsers)) })));
}

/** @param verification of one issuer: the gateway counts as ready with the keys of any. */
async function loaded(
  verification: VerificationConfig,
  maxUsers: number,
): Promise<Pick<Finding, 'state' | 'text'>> {
  const heard = new HeardLog();
  const own = TrustedIssuers.create(verification, heard.log, new Metrics(maxUsers));
  try {
    await own.start();
    if (!own.ready) return { state: 'bad', text: heard.complaints.join('; ') };
    const { kids = [] } = (heard.lines.find(({ kids }) => Array.isArray(kids)) ?? {}) as { kids?: unknown[] };
    const count = kids.length === 0 ? 'loaded' : `${kids.length} loaded: ${kids.map(String).join(', ')}`;
    const [listed] = verification.issuers;
    return { state: 'good', text: listed === undefined ? count : `of ${listed.name}: ${count}` };
  } catch (thrown) {
    return { state: 'bad', text: fromUnknown(thrown).message };
  } finally {
    own.stop();
  }
}
