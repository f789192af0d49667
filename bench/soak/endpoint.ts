import { type Echo, startEcho } from '../programs.js';

/** An echo that can be killed, stopped and started again on its port. */
export class Endpoint {
  #echo: Echo;

  private constructor(echo: Echo) {
    this.#echo = echo;
  }

  static async start(): Promise<Endpoint> {
    return new Endpoint(await startEcho());
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#echo.port}`;
  }

  get pid(): number {
    return this.#echo.child.pid;
  }

  /** SIGKILL: the kernel closes its sockets, nothing is said. */
  async kill(): Promise<void> {
    await this.#echo.stop();
  }

  async restart(): Promise<void> {
    this.#echo = await startEcho(undefined, this.#echo.port);
  }

  /** SIGSTOP: the kernel still accepts connections and takes some bytes; nobody answers. */
  pause(): void {
    this.#echo.child.kill('SIGSTOP');
  }

  resume(): void {
    this.#echo.child.kill('SIGCONT');
  }
}
