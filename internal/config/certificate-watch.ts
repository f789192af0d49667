import { hash } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import type { ListenConfig } from './config.js';
import { keyPairProblems } from './environment/consistency.js';
import { MAX_PEM_BYTES } from './key-pair.js';
import type { Problem } from './problem.js';
import { readTextFile } from './text-file.js';

/** Interval at which the files are checked. */
const POLL_MS = 500;
/** How long both must stay unchanged before they are used, as one of them is always written first. */
const SETTLE_MS = 1000;

export interface CertificateWatchOptions {
  readonly files: NonNullable<ListenConfig['tls']>;
  /** The files have changed, and hold a valid certificate with its key. */
  readonly onChange: () => void;
  /** They have changed, and are not valid. */
  readonly onProblems: (problems: readonly Problem[]) => void;
}

/**
 * Follows TLS_CERT_FILE and TLS_KEY_FILE. They are polled, because a watch misses the swap of a symbolic link
 * on the way to them, as in a Kubernetes Secret.
 */
export class CertificateWatch {
  #timer: NodeJS.Timeout | undefined;
  /** The state of the files that was handled last. */
  #taken: string;

  /** To be made when the files have been loaded: any later state is a change. */
  constructor(readonly options: CertificateWatchOptions) {
    this.#taken = this.#state();
  }

  start(): void {
    for (const file of this.#files) watchFile(file, { interval: POLL_MS, persistent: false }, this.#noticed);
    this.#noticed();
  }

  stop(): void {
    for (const file of this.#files) unwatchFile(file, this.#noticed);
    clearTimeout(this.#timer);
  }

  get #files(): readonly string[] {
    const { certFile, keyFile } = this.options.files;
    return [certFile, keyFile];
  }

  readonly #noticed = (): void => {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#take(), SETTLE_MS).unref();
  };

  #take(): void {
    const { files, onChange, onProblems } = this.options;
    const state = this.#state();
    if (state === this.#taken) return;
    this.#taken = state;
    const problems = keyPairProblems(files);
    if (problems.length === 0) onChange();
    else onProblems(problems);
  }

  /** Tells states of the files apart. */
  #state(): string {
    return hash('sha256', JSON.stringify(this.#files.map((file) => readTextFile(file, MAX_PEM_BYTES))));
  }
}
