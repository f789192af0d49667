import type { Command } from './command.js';

/** A verb of `ws-gateway`. Its file is loaded when it is called: the daemon carries none of the others. */
export interface Verb {
  readonly name: string;
  /** One line, the same as its own help begins with. */
  readonly summary: string;
  load(): Promise<Command>;
}
