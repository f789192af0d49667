import { createContext, Script } from 'node:vm';

const script = new Script('run()');

/** Calls `run`, and throws ERR_SCRIPT_EXECUTION_TIMEOUT out of whatever it is doing when it takes longer. */
export function bounded(run: () => void, timeoutMs: number): void {
  script.runInContext(createContext({ run }), { timeout: timeoutMs });
}
