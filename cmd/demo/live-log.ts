import type { GatewayLog } from './gateway/gateway-log.js';
import type { Screen } from './screen.js';

/** Fields told apart from the message, in this order. */
const TOLD = ['sub', 'protocol', 'route', 'reason'];

/** Prints what the gateway logs from now on, a short line each. */
export function tellLog(log: GatewayLog, screen: Screen): void {
  screen.heading('The gateway says', 'Ctrl-C ends everything');
  log.on('entry', (entry) => {
    const fields = TOLD.filter((name) => entry[name] !== undefined).map((name) => `${name}=${entry[name]}`);
    const time = new Date(String(entry.time)).toTimeString().slice(0, 8);
    screen.line(`  ${time}  ${[entry.msg, ...fields].join('  ')}`);
  });
}
