import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Config } from '../../internal/config/config.js';
import { readEnvironment } from '../../internal/config/environment/environment.js';
import { type Problem, problemLine } from '../../internal/config/problem.js';
import { makeCertificate } from '../support/certificate.js';

/** An empty directory that goes away with the test. */
export function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'ws-gateway-config-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Writes a file and returns its path. */
export function put(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A self-signed certificate and its key, as `<name>.crt` and `<name>.key`. */
export async function certificate(folder: string, name: string): Promise<{ cert: string; key: string }> {
  const made = await makeCertificate(`${name}.example`);
  const cert = join(folder, `${name}.crt`);
  const key = join(folder, `${name}.key`);
  copyFileSync(made.certFile, cert);
  copyFileSync(made.keyFile, key);
  await made.remove();
  return { cert, key };
}

/** A key pair in PEM form. */
export function keyPair(): { publicKey: string; privateKey: string } {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

/** The problems of a result as the operator sees them; none: []. */
export function linesOf(result: object): string[] {
  return 'problems' in result ? (result.problems as Problem[]).map(problemLine) : [];
}

/** What an environment without a mistake configures. */
export function configOf(env: Readonly<Record<string, string>>): Config {
  const result = readEnvironment(env);
  assert.ok('config' in result, linesOf(result).join('\n'));
  return result.config;
}
