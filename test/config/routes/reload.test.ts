import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { RouteTable } from '../../../internal/config/config.js';
import { loadConfiguration } from '../../../internal/config/environment/environment.js';
import { type Problem, problemLine } from '../../../internal/config/problem.js';
import { loadRoutes } from '../../../internal/config/routes/file.js';
import { RouteReloader } from '../../../internal/config/routes/reload.js';
import { BROKEN_CERTIFICATE } from '../../support/certificate.js';
import { within } from '../../support/eventually.js';
import { certificate, directory, linesOf, put } from '../files.js';

const routes = (...prefixes: string[]) =>
  prefixes.map((prefix) => `- {prefix: ${prefix}, upstream: "ws://a"}\n`).join('');
const ENV = { JWKS_URL: 'https://id.example.com/jwks' };

/** A reloader over `file`, started, and what it says. */
class Followed {
  readonly tables: RouteTable[] = [];
  readonly problems: string[][] = [];
  readonly #events = new EventEmitter();
  readonly reloader: RouteReloader;

  constructor(t: TestContext, file: string, env: Record<string, string> = ENV, onTable?: () => void) {
    const loaded = loadConfiguration({ ...env, ROUTE_FILE: file });
    assert.ok('config' in loaded, linesOf(loaded).join('\n'));
    this.reloader = new RouteReloader({
      source: loaded.routesSource,
      table: loaded.table,
      onTable: (table) => {
        onTable?.();
        this.tables.push(table);
        this.#events.emit('table');
      },
      onProblems: (problems: readonly Problem[]) => {
        this.problems.push(problems.map(problemLine));
        this.#events.emit('problems');
      },
    });
    t.after(() => this.reloader.stop());
  }

  /** Makes a change and waits until it is noticed. @returns the prefixes of the newest table. */
  async table(change: () => void): Promise<string[]> {
    await this.#after('table', change);
    return this.tables.at(-1)?.routes.map(({ prefix }) => prefix) ?? [];
  }

  async problem(change: () => void): Promise<string> {
    await this.#after('problems', change);
    return this.problems.at(-1)?.[0] ?? '';
  }

  async #after(event: string, change: () => void): Promise<void> {
    const noticed = once(this.#events, event);
    change();
    await within(noticed, event);
  }
}

function started(t: TestContext, file: string, env?: Record<string, string>): Followed {
  const followed = new Followed(t, file, env);
  followed.reloader.start();
  return followed;
}

describe('a change of the routes file is noticed', () => {
  it('when it is written in place', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    assert.deepEqual(await followed.table(() => writeFileSync(file, routes('/b'))), ['/b']);
    assert.deepEqual(await followed.table(() => writeFileSync(file, routes('/c'))), ['/c']);
    assert.deepEqual(followed.problems, []);
  });

  it('when another file is renamed over it', async (t) => {
    const folder = directory(t);
    const file = put(folder, 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    for (const prefix of ['/b', '/c']) {
      const draft = put(folder, 'draft', routes(prefix));
      assert.deepEqual(await followed.table(() => renameSync(draft, file)), [prefix]);
    }
  });

  it('when the link that a ConfigMap hangs on is swapped', async (t) => {
    const folder = directory(t);
    for (const version of ['1', '2', '3']) {
      mkdirSync(join(folder, `..${version}`));
      put(join(folder, `..${version}`), 'routes.yaml', routes(`/v${version}`));
    }
    symlinkSync('..1', join(folder, '..data'));
    symlinkSync(join('..data', 'routes.yaml'), join(folder, 'routes.yaml'));
    const followed = started(t, join(folder, 'routes.yaml'));
    for (const version of ['2', '3']) {
      symlinkSync(`..${version}`, join(folder, '..data_tmp'));
      const swap = () => renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      assert.deepEqual(await followed.table(swap), [`/v${version}`]);
      rmSync(join(folder, `..${Number(version) - 1}`), { recursive: true });
    }
  });

  it('when it happens behind a link to another directory, where no watch looks', async (t) => {
    const folder = directory(t);
    mkdirSync(join(folder, 'real'));
    mkdirSync(join(folder, 'seen'));
    const real = put(join(folder, 'real'), 'routes.yaml', routes('/a'));
    symlinkSync(real, join(folder, 'seen', 'routes.yaml'));
    const followed = started(t, join(folder, 'seen', 'routes.yaml'));
    assert.deepEqual(await followed.table(() => writeFileSync(real, routes('/b'))), ['/b']);
  });

  it('when the directory itself is put in place of another', async (t) => {
    const folder = directory(t);
    for (const name of ['now', 'next']) mkdirSync(join(folder, name));
    const file = put(join(folder, 'now'), 'routes.yaml', routes('/a'));
    put(join(folder, 'next'), 'routes.yaml', routes('/b'));
    const followed = started(t, file);
    const swap = () => {
      renameSync(join(folder, 'now'), join(folder, 'old'));
      renameSync(join(folder, 'next'), join(folder, 'now'));
    };
    assert.deepEqual(await followed.table(swap), ['/b']);
  });

  it('when the file changed between the first reading and the start', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = new Followed(t, file);
    writeFileSync(file, routes('/b'));
    assert.deepEqual(await followed.table(() => followed.reloader.start()), ['/b']);
  });

  it('in a directory full of other changes', async (t) => {
    const folder = directory(t);
    const file = put(folder, 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    const noise = setInterval(() => put(folder, 'noise.log', String(Math.random())), 5);
    try {
      assert.deepEqual(await followed.table(() => writeFileSync(file, routes('/b'))), ['/b']);
    } finally {
      // Before the directory goes, which is the first thing after the test.
      clearInterval(noise);
    }
  });
});

describe('a bad routes file', () => {
  it('changes nothing and is reported once, until it is good again', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    assert.match(
      await followed.problem(() => writeFileSync(file, '- prefix: a\n')),
      /routes.yaml:1: prefix: "a"/,
    );
    assert.match(await followed.problem(() => rmSync(file)), /routes.yaml: does not exist/);
    assert.match(await followed.problem(() => writeFileSync(file, '')), /is empty/);
    assert.deepEqual(await followed.table(() => writeFileSync(file, routes('/b'))), ['/b']);
    assert.equal(followed.tables.length, 1);
    assert.equal(followed.problems.length, 3);
  });

  it('that names a folder which cannot be looked at is reported like any other, and followed on', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    const bad = `${routes('/a')}- {prefix: /x, files: ${'a'.repeat(300)}}\n`;
    const problem = /routes.yaml:2: files: .* cannot be read \(ENAMETOOLONG\)$/;
    assert.match(await followed.problem(() => writeFileSync(file, bad)), problem);
    const { outcome, problems } = await within(followed.reloader.reload(), 'reload');
    assert.equal(outcome, 'rejected');
    assert.match(problems.map(problemLine)[0] ?? '', problem);
    assert.deepEqual(await followed.table(() => writeFileSync(file, routes('/b'))), ['/b']);
  });

  it('that fails in a way nobody thought of is a bad file, at start and later', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const loaded = loadConfiguration({ ...ENV, ROUTE_FILE: file });
    assert.ok('config' in loaded);
    const environment = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no luck');
        },
      },
    );
    const source = { ...loaded.routesSource, environment };
    const reloader = new RouteReloader({
      source,
      table: loaded.table,
      onTable: () => undefined,
      onProblems: () => undefined,
    });
    writeFileSync(file, routes(`"/\${NAME}"`));
    const { outcome, problems } = await within(reloader.reload(), 'reload');
    assert.equal(outcome, 'rejected');
    assert.match(problems.map(problemLine)[0] ?? '', /routes.yaml: cannot be read: no luck/);
    assert.match(linesOf(loadRoutes(source))[0] ?? '', /routes.yaml: cannot be read: no luck/);
  });

  it('that is put right again without a difference calls nobody', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    await followed.problem(() => writeFileSync(file, '{'));
    writeFileSync(file, `# the same, with a remark\n${routes('/a')}`);
    assert.deepEqual(await within(followed.reloader.reload(), 'reload'), {
      outcome: 'unchanged',
      problems: [],
    });
    assert.equal(followed.tables.length, 0);
  });

  it('may not bring a route that needs a token when there are no keys', async (t) => {
    const open = '- {prefix: /a, upstream: "ws://a", auth: public}\n';
    const file = put(directory(t), 'routes.yaml', open);
    const followed = started(t, file, {});
    assert.match(
      await followed.problem(() => writeFileSync(file, `${open}${routes('/b')}`)),
      /^JWKS_URL: no source/,
    );
  });

  it('that goes away leaves its routes, even where the fallbacks could stand alone', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const loaded = loadConfiguration({ ...ENV, ROUTE_FILE: file, RAW_WS_BACKEND_URL: 'ws://raw' });
    assert.ok('config' in loaded);
    const seen: RouteTable[] = [];
    const reloader = new RouteReloader({
      source: { ...loaded.routesSource, fileGiven: false },
      table: loaded.table,
      onTable: (table) => void seen.push(table),
      onProblems: () => undefined,
    });
    rmSync(file);
    assert.equal((await within(reloader.reload(), 'reload')).outcome, 'rejected');
    assert.deepEqual(seen, []);
  });
});

describe('RouteReloader.reload', () => {
  it('reads the file at once and says what came of it', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = new Followed(t, file);
    assert.equal((await within(followed.reloader.reload(), 'reload')).outcome, 'unchanged');
    writeFileSync(file, routes('/b'));
    assert.equal((await within(followed.reloader.reload(), 'reload')).outcome, 'changed');
    writeFileSync(file, '7');
    const { outcome, problems } = await within(followed.reloader.reload(), 'reload');
    assert.equal(outcome, 'rejected');
    assert.equal(problems.length, 1);
    assert.equal(
      (await within(followed.reloader.reload(), 'reload')).outcome,
      'rejected',
      'and says it again when asked again',
    );
    assert.equal(followed.tables.length, 1);
    assert.equal(followed.problems.length, 2);
  });

  it('reads TLS files again, though the routes file is the same', async (t) => {
    const folder = directory(t);
    const { cert } = await certificate(folder, 'a');
    const text = `- {prefix: /a, upstream: "wss://a", tls: {caFile: ${cert}}}\n`;
    const followed = new Followed(t, put(folder, 'routes.yaml', text));
    renameSync((await certificate(folder, 'b')).cert, cert);
    assert.equal((await within(followed.reloader.reload(), 'reload')).outcome, 'changed');
    assert.equal((await within(followed.reloader.reload(), 'reload')).outcome, 'unchanged');
  });

  it('leaves what works in effect when a TLS file goes bad behind its first certificate', async (t) => {
    const folder = directory(t);
    const { cert, key } = await certificate(folder, 'a');
    const text = `- {prefix: /a, upstream: "wss://a", tls: {certFile: ${cert}, keyFile: ${key}}}\n`;
    const followed = new Followed(t, put(folder, 'routes.yaml', text));
    appendFileSync(cert, BROKEN_CERTIFICATE);
    const { outcome, problems } = await within(followed.reloader.reload(), 'reload');
    assert.equal(outcome, 'rejected');
    assert.match(
      problems.map(problemLine).join('\n'),
      /routes\.yaml:1: tls\.certFile: .* broken certificate/,
    );
    assert.deepEqual(followed.tables, []);
  });

  it('runs one after the other, so that the last state wins', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    const results = [];
    for (let count = 0; count < 50; count++) {
      writeFileSync(file, routes(`/n${count}`));
      results.push(followed.reloader.reload());
    }
    await within(Promise.all(results), 'reloads');
    assert.deepEqual(
      followed.tables.at(-1)?.routes.map(({ prefix }) => prefix),
      ['/n49'],
    );
    assert.deepEqual(followed.problems, []);
  });

  it('keeps the old table when the new one cannot be put in effect, and tries again', async (t) => {
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    let fail = true;
    const followed = new Followed(t, file, ENV, () => {
      if (fail) throw new Error('no room');
    });
    writeFileSync(file, routes('/b'));
    const { outcome, problems } = await within(followed.reloader.reload(), 'reload');
    assert.equal(outcome, 'rejected');
    assert.equal(problems[0]?.message, 'could not be put in effect: no room');
    fail = false;
    assert.equal((await within(followed.reloader.reload(), 'reload')).outcome, 'changed');
  });
});

describe('RouteReloader.stop', () => {
  it('ends the watch: no callback comes afterwards, and nothing keeps the process alive', async (t) => {
    const before = process.getActiveResourcesInfo().filter((name) => name === 'FSEventWrap').length;
    const file = put(directory(t), 'routes.yaml', routes('/a'));
    const followed = started(t, file);
    writeFileSync(file, routes('/b'));
    await followed.reloader.stop();
    await followed.reloader.stop();
    const told = followed.tables.length;
    writeFileSync(file, routes('/c'));
    await pause(1500);
    assert.equal(followed.tables.length, told);
    assert.equal(process.getActiveResourcesInfo().filter((name) => name === 'FSEventWrap').length, before);
  });
});
