import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { accepts, freePort } from '../free-port.js';

export interface Nginx {
  readonly url: string;
  /** Folder that it serves and that uploads go to. */
  readonly folder: string;
  stop(): Promise<void>;
}

/**
 * Starts Debian's nginx as a web server.
 * @param server what stands in its one `server` block, beside `listen` and `root`.
 */
export async function startNginx(server: string): Promise<Nginx> {
  const directory = await mkdtemp(join(tmpdir(), 'nginx-'));
  const folder = join(directory, 'www');
  await mkdir(folder);
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  await writeFile(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr error;
events {}
http {
  access_log off;
  ${temporary.join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    root ${folder};
    ${server}
  }
}
`,
  );
  const path = `${process.env.PATH}:/usr/sbin`;
  const child = startChild('nginx', ['-c', file, '-e', 'stderr'], { env: { PATH: path } });
  const stop = async (): Promise<void> => {
    await child.stop('SIGTERM').finally(() => rm(directory, { recursive: true, force: true }));
  };
  try {
    await eventually(async () => !child.alive || (await accepts(port)));
    if (!child.alive) throw new Error('it has ended');
  } catch (error) {
    await stop();
    throw new Error(`nginx did not start:\n${child.stdout}${child.stderr}`, { cause: error });
  }
  return { url: `http://127.0.0.1:${port}`, folder, stop };
}
