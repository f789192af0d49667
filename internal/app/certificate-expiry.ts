import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Metrics } from '../telemetry/metrics/metrics.js';

/**
 * Shows when the certificate in the file ends. To be called when it is taken into use; a file
 * of no use changes nothing.
 */
export function showCertificateExpiry(certFile: string, { process: { certificateExpiry } }: Metrics): void {
  try {
    const expiryMs = Date.parse(new X509Certificate(readFileSync(certFile)).validTo);
    if (Number.isFinite(expiryMs)) certificateExpiry.set({ file: certFile }, expiryMs / 1000);
  } catch {
    // Whoever takes it into use says so.
  }
}
