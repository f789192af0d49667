import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../scripts/audit', import.meta.url));

/** What the script says of a registry that answers every question like this. */
async function audited(
  answer: number,
): Promise<{ code: number | undefined; stdout: string; stderr: string }> {
  const registry = createServer((request, response) => {
    request.resume();
    response.writeHead(answer, { 'Content-Type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
  try {
    return await new Promise((resolve) => {
      const child = execFile(SCRIPT, [`--registry=${url}`, '--fetch-retries=0'], (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? undefined, stdout, stderr: stderr.replaceAll(url, 'REGISTRY') }),
      );
    });
  } finally {
    registry.closeAllConnections();
    registry.close();
  }
}

it('npm run audit says that nothing is known of what runs in production', async () => {
  const { code, stdout } = await audited(200);
  assert.deepEqual([code, stdout.trim()], [0, 'found 0 vulnerabilities']);
});

it('and says so plainly where a registry does not answer audits', async () => {
  const { code, stdout, stderr } = await audited(405);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^NOT AUDITED: REGISTRY\/? does not answer audits: 405 Method Not Allowed/);
  assert.match(stderr, /npm run audit -- --registry=https:\/\/registry\.npmjs\.org/);
});
