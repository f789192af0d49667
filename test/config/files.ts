import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Problem, problemLine } from '../../internal/config/problem.js';

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

/** A self-signed certificate and its key, as files. */
export function certificate(folder: string, name: string): { cert: string; key: string } {
  const cert = join(folder, `${name}.crt`);
  const key = join(folder, `${name}.key`);
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync('openssl', [...args, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], { stdio: 'pipe' });
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
