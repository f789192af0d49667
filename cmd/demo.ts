import { fileURLToPath } from 'node:url';
import { portOr, wantsColour } from '../internal/config/environment/surroundings.js';
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
  if (args.includes('--help') || args.includes('-h')) {
    screen.line('usage: npm run demo -- [--once]');
    return 0;
  }
  const unknown = args.find((arg) => arg !== '--once');
  if (unknown !== undefined) throw new Error(`unknown argument ${unknown}: there is only --once`);
  const interrupt = interrupted();
  const stage = await setUp(FOLDER, portOr(DEFAULT_PORT), screen);
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

const screen = new Screen(process.stdout, wantsColour(process.stdout));
try {
  process.exitCode = await main(process.argv.slice(2), screen);
} catch (thrown) {
  process.stderr.write(`ws-gateway demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
