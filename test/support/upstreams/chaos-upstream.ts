import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../child-process.js';
import { http } from '../clients/http.js';
import { eventually } from '../eventually.js';
import { freePort } from '../free-port.js';

const PROGRAM = fileURLToPath(new URL('./chaos-upstream-process.ts', import.meta.url));

/** A request head an upstream saw. */
export interface SeenRequest {
  /** `session`: an opening handshake for a client; `probe`: one for nobody; `http`: no handshake at all. */
  readonly kind: 'session' | 'probe' | 'http';
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * An echo upstream in a process of its own, so that it can be killed, stopped and started again on
 * its port. The text `who` is answered with its name. Its HTTP status on every path is what
 * `answerHttp` said last, 200 at first.
 */
export class ChaosUpstream {
  /** Of the lives before this one. */
  #seen: readonly SeenRequest[] = [];
  #child: Child;

  private constructor(
    readonly name: string,
    readonly port: number,
    child: Child,
  ) {
    this.#child = child;
  }

  static async start(name: string): Promise<ChaosUpstream> {
    const port = await freePort();
    return new ChaosUpstream(name, port, await launch(name, port));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Every request it has answered, or begun to, in order. */
  get seen(): readonly SeenRequest[] {
    return [...this.#seen, ...printedBy(this.#child)];
  }

  count(kind: SeenRequest['kind']): number {
    return this.seen.filter((request) => request.kind === kind).length;
  }

  /** SIGKILL: the kernel closes its sockets, nothing is said. */
  async kill(): Promise<void> {
    if (!this.#child.alive) return;
    await this.#child.stop('SIGKILL');
    this.#seen = this.seen;
    this.#child.stdout = '';
  }

  /** After `kill`; it has forgotten everything but its port. */
  async restart(): Promise<void> {
    this.#child = await launch(this.name, this.port);
  }

  /** SIGSTOP: the kernel still accepts connections and takes some bytes; nobody answers. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async answerHttp(status: number): Promise<void> {
    const answer = await http(`http://127.0.0.1:${this.port}/`, { method: 'PUT', body: String(status) });
    if (answer.status !== 204) throw new Error(`${this.name} did not take the status: ${answer.status}`);
  }

  async stop(): Promise<void> {
    await this.kill();
  }
}

async function launch(name: string, port: number): Promise<Child> {
  const child = startChild(process.execPath, ['--import', 'tsx', PROGRAM, name, String(port)]);
  await eventually(() => {
    if (!child.alive) throw new Error(`upstream ${name} ended:\n${child.stderr}`);
    return child.stdout.startsWith('listening');
  }, 30_000);
  return child;
}

function printedBy(child: Child): SeenRequest[] {
  // What comes after the last line break is still on its way.
  const lines = child.stdout.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as SeenRequest);
}
