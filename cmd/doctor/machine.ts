import { readFileSync } from 'node:fs';
import type { Config } from '../../internal/config/config.js';
import type { Finding } from './finding.js';

/** Descriptors beside those of sessions: log, stores, listener, Node's own. */
const OWN_DESCRIPTORS = 100;
/** Without MAX_CONNECTIONS, fewer sessions than this are probably not meant. */
const FEW_SESSIONS = 1000;

/** Whether the file limit (`ulimit -n`) is enough: a session is two descriptors. */
export async function machine({ opening: { maxConnections } }: Config): Promise<readonly Finding[]> {
  const limit = openFilesLimit();
  if (limit === undefined) return [];
  const room = Math.floor((limit - OWN_DESCRIPTORS) / 2);
  const text = `${limit} open files: room for ${room} sessions a process`;
  const wanted = maxConnections === 0 ? FEW_SESSIONS : maxConnections;
  return [
    room >= wanted
      ? { about: 'file limit', state: 'good', text }
      : {
          about: 'file limit',
          state: maxConnections === 0 ? 'doubtful' : 'bad',
          text: maxConnections === 0 ? text : `${text}, but MAX_CONNECTIONS is ${maxConnections}`,
        },
  ];
}

/** The soft limit; undefined where there is none, or no Linux. */
function openFilesLimit(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
