import { PacedQueue } from '../../runtime/paced-queue.js';

/** Largest share of time spent on renderings, as they block the event loop. */
const LARGEST_SHARE = 0.2;
/** Answers with one rendering that are sent per turn of the event loop, as writing them takes time. */
const ANSWERED_A_TURN = 2;

/** Labels as the text exposition format writes them; '' without any. */
export function labelText(labels: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (sign) => (sign === '\n' ? '\\n' : `\\${sign}`));
}

/**
 * One rendering for all scrapes that come at the same time. The next one waits until renderings have taken at
 * most a fifth of the time, so that many scrapers cannot block clients; one that comes every few seconds does
 * not wait.
 */
export class SharedRendering {
  #current: Promise<string> | undefined;
  readonly #answering = new PacedQueue(ANSWERED_A_TURN);
  #nextMs = 0;

  constructor(readonly render: () => Promise<string>) {}

  async get(): Promise<string> {
    this.#current ??= this.#begin().finally(() => {
      this.#current = undefined;
    });
    const rendered = await this.#current;
    await this.#answering.turn();
    return rendered;
  }

  async #begin(): Promise<string> {
    const restMs = this.#nextMs - performance.now();
    if (restMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, restMs));
    const startMs = performance.now();
    try {
      return await this.render();
    } finally {
      const endMs = performance.now();
      this.#nextMs = endMs + (endMs - startMs) * (1 / LARGEST_SHARE - 1);
    }
  }
}
