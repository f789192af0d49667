// Asks /healthz of the gateway in the same container; exits 0 or 1. Reads the gateway's own variables.
import * as http from 'node:http';
import * as https from 'node:https';

const { HOST, PORT, TLS_CERT_FILE } = process.env;
const { get } = TLS_CERT_FILE?.trim() ? https : http;

get(
  {
    // Connecting to an unspecified address (0.0.0.0, ::) reaches this host.
    host: HOST?.trim() || '127.0.0.1',
    port: PORT?.trim() || 8080,
    path: '/healthz',
    // The certificate is for the public name.
    rejectUnauthorized: false,
    timeout: 4000,
  },
  ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1),
)
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
