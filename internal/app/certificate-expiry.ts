import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';

/**
 * Sets the metric of when the certificate in the file expires, and logs a warning if it has: clients refuse
 * it. To be called when the certificate is taken into use; a file that cannot be read changes nothing.
 */
export function showCertificateExpiry(
  certFile: string,
  { process: { certificateExpiry } }: Metrics,
  log: Log,
): void {
  try {
    const { validTo } = new X509Certificate(readFileSync(certFile));
    const expiryMs = Date.parse(validTo);
    if (Number.isFinite(expiryMs)) certificateExpiry.set({ file: certFile }, expiryMs / 1000);
    if (expiryMs <= Date.now()) log.warn({ file: certFile, ended: validTo }, 'the certificate has expired');
  } catch {
    // Logged where the certificate is taken into use.
  }
}
