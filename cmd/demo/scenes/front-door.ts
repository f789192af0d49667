import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ALICE, SECRET } from '../services/people.js';
import { expect } from './expectation.js';
import type { Scene } from './scene.js';

const run = promisify(execFile);

/** One answer as curl saw it. */
interface Answer {
  readonly status: number;
  /** In lower case. */
  readonly head: string;
  readonly body: string;
}

/** A browser's day, by curl: what is public, a login, what is protected, a logout. */
export const FRONT_DOOR: readonly Scene[] = [
  {
    title: 'alice in a browser: login, protected service, schema, logout',
    async play({ gateway }) {
      const folder = mkdtempSync(join(tmpdir(), 'ws-gateway-demo-'));
      try {
        return await sevenSteps(gateway.url, folder);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  },
];

async function sevenSteps(url: string, folder: string): Promise<readonly string[]> {
  const jar = join(folder, 'cookies');
  const kept = join(folder, 'kept');
  const told: string[] = [];
  const step = async (wanted: number, path: string, ...args: string[]): Promise<Answer> => {
    const got = await curl(url + path, args);
    expect(`the HTTP status of ${path}`, got.status, wanted);
    const shown = [...args, `${url}${path}`].map(quoted).join(' ').replaceAll(`${folder}/`, '');
    told.push(`curl ${shown}`, `  HTTP ${got.status} ${got.body}`);
    return got;
  };
  const post = (body: object) => ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];

  await step(200, '/public');
  await step(401, '/api/me');
  const login = await step(200, '/login', '-c', jar, ...post({ user: ALICE.name, password: SECRET }));
  expect(
    'whether scripts are kept from the cookie',
    /^set-cookie: session=.*httponly/m.test(login.head),
    true,
  );
  copyFileSync(jar, kept);
  const me = await step(200, '/api/me', '-b', jar);
  expect('X-User-Id and X-User-Roles', JSON.parse(me.body), { id: ALICE.name, roles: ALICE.roles.join(',') });
  await step(400, '/api/items', '-b', jar, ...post({ name: 7 }));
  await step(201, '/api/items', '-b', jar, ...post({ name: 'tea' }));
  await step(200, '/logout', '-b', jar, '-c', jar, '-X', 'POST');
  const late = await step(401, '/api/me', '-b', kept);
  expect('why', (JSON.parse(late.body) as { code?: string }).code, 'ERR_TOKEN_REVOKED');
  return told;
}

async function curl(url: string, args: readonly string[]): Promise<Answer> {
  const { stdout } = await run('curl', ['-s', '-i', '--http1.1', ...args, url]);
  const end = stdout.indexOf('\r\n\r\n');
  const head = stdout.slice(0, end).toLowerCase();
  return { status: Number(/^http\/1\.1 (\d+)/.exec(head)?.[1]), head, body: stdout.slice(end + 4).trim() };
}

function quoted(arg: string): string {
  return /^[\w./:-]+$/.test(arg) ? arg : `'${arg}'`;
}
