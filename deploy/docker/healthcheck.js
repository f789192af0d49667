// Asks /healthz of the gateway in the same container; exits 0 or 1. Reads the gateway's own variables,
// and what CONFIG_FILE adds.
import * as http from 'node:http';
import * as https from 'node:https';
import { readVariableText } from '#config/secrets.js';

/** What reads YAML costs more than the check itself: it is loaded where there is such a file. */
async function settings() {
  const { CONFIG_FILE, CONFIG_FILE_FILE } = process.env;
  if (!CONFIG_FILE && !CONFIG_FILE_FILE) return process.env;
  const { withSettingsFile } = await import('#config/environment/settings-file.js');
  return withSettingsFile(process.env).env;
}

const env = await settings();
const value = (name) => readVariableText(env, name).text?.trim();
const { get } = value('TLS_CERT_FILE') ? https : http;

get(
  {
    // Connecting to an unspecified address (0.0.0.0, ::) reaches this host.
    host: value('HOST') || '127.0.0.1',
    port: value('PORT') || 8080,
    path: '/healthz',
    // The certificate is for the public name.
    rejectUnauthorized: false,
    timeout: 4000,
  },
  ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1),
)
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
