import { fileURLToPath } from 'node:url';
import { interrupted } from './demo/interrupt.js';
import { tellLog } from './demo/live-log.js';
import { playAll, tellCounters } from './demo/play.js';
import { Screen } from './demo/screen.js';
import { type Running, setUp } from './demo/stage.js';
import { tellWhatToPaste } from './demo/to-paste.js';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const DEFAULT_PORT = 8080;

/** @returns the exit code: 0 if every client fared as expected */
async function main(args: readonly string[], screen: Screen): Promise<number> {
  const unknown = args.find((arg) => arg !== '--once');
  if (unknown !== undefined) throw new Error(`unknown argument ${unknown}: there is only --once`);
  const interrupt = interrupted();
  const stage = await setUp(FOLDER, portOf(process.env.PORT), screen);
  try {
    const { gateway } = stage;
    return await Promise.race([
      present(stage, screen, args.includes('--once')),
      gateway.failed,
      interrupt.then(() => {
        screen.line();
        return 0;
      }),
    ]);
  } finally {
    await stage.close();
  }
}

/** Plays everything; unless `once`, then shows what to paste and stays. */
async function present(stage: Running, screen: Screen, once: boolean): Promise<number> {
  const failed = await playAll(stage, screen);
  await tellCounters(`${stage.gateway.url}/metrics`, screen);
  screen.line();
  if (failed === 0) screen.line('Every client fared as expected.');
  else screen.line(`${failed} of the clients fared otherwise than expected.`);
  if (!once) {
    await tellWhatToPaste(stage, screen);
    tellLog(stage.gateway.log, screen);
    await new Promise(() => {});
  }
  return failed === 0 ? 0 : 1;
}

function portOf(text: string | undefined): number {
  const port = text === undefined || text === '' ? DEFAULT_PORT : Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`PORT ${text} is no port: 0 to 65535`);
}

const screen = new Screen(process.stdout, process.env.NO_COLOR);
try {
  process.exitCode = await main(process.argv.slice(2), screen);
} catch (thrown) {
  process.stderr.write(`ws-gateway demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
