import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';

/**
 * Shows when the certificate in the file ends, and says it if it has: clients refuse it. To be called when it
 * is taken into use; a file of no use changes nothing.
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
    // Whoever takes it into use says so.
  }
}
