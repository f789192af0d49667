import type { Config } from '../../internal/config/config.js';
import type { Finding } from './finding.js';

const TIMEOUT_MS = 5000;
/** HTTP dates are cut to seconds, and the answer takes its time. */
const RESOLUTION_MS = 2000;

/** How far this clock is from the issuer's, by the Date of its answer (RFC 9110 §6.6.1). */
export async function clock({ verification }: Config): Promise<readonly Finding[]> {
  const { keySource, clockSkewMs } = verification;
  const url =
    keySource.kind === 'jwks' ? keySource.url : keySource.kind === 'issuer' ? keySource.issuer : undefined;
  if (url === undefined) return [];
  const about = 'clock';
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  const date = await fetch(bare, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'manual' }).then(
    async (response) => {
      await response.body?.cancel();
      return Date.parse(response.headers.get('date') ?? '');
    },
    () => Number.NaN,
  );
  if (Number.isNaN(date))
    return [{ about, state: 'doubtful', text: 'the issuer told no time to compare with' }];
  const awayMs = Math.max(0, Math.abs(Date.now() - date) - RESOLUTION_MS);
  const text = `${(awayMs / 1000).toFixed(0)} s from the issuer's; JWT_CLOCK_SKEW_SECONDS allows ${clockSkewMs / 1000}`;
  return [{ about, state: awayMs <= clockSkewMs ? 'good' : 'bad', text }];
}
