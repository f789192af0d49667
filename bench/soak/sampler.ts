import type { Gateway } from '../../test/support/gateway/gateway.js';
import { childrenOf, cpuMicros, openFiles, rssBytes } from '../process-usage.js';

/** The gateway at one moment; several processes are added up. */
export interface Sample {
  readonly seconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Memory of buffers, outside of the heap. */
  readonly externalBytes: number;
  readonly files: number;
  readonly sessions: number;
  /** Held for peers that are slow. */
  readonly bufferedBytes: number;
  /** 99th percentile of the event loop's delay since the sample before. */
  readonly loopP99Ms: number;
  /** Share of one core since the sample before. */
  readonly cpu: number;
  /** Messages forwarded in both directions, so far. */
  readonly messages: number;
}

export class Sampler {
  readonly samples: Sample[] = [];
  readonly #gateway: Gateway;
  readonly #pids: readonly number[];
  readonly #startMs = performance.now();
  #cpu: number;
  #cpuMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #sampling: Promise<void> = Promise.resolve();
  readonly #onSample: (sample: Sample) => void;

  constructor(gateway: Gateway, onSample: (sample: Sample) => void) {
    this.#gateway = gateway;
    this.#onSample = onSample;
    this.#pids = [gateway.pid, ...childrenOf(gateway.pid)];
    this.#cpu = this.#sum(cpuMicros);
  }

  start(everyMs: number): void {
    this.#timer = setInterval(() => {
      this.#sampling = this.#sample();
    }, everyMs);
  }

  /** @throws what kept a sample from being taken: the gateway answers no more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sampling;
  }

  files(): number {
    return this.#sum(openFiles);
  }

  rssBytes(): number {
    return this.#sum(rssBytes);
  }

  #sum(of: (pid: number) => number): number {
    return this.#pids.reduce((sum, pid) => sum + of(pid), 0);
  }

  async #sample(): Promise<void> {
    const metrics = await this.#gateway.metrics();
    const [nowMs, cpu] = [performance.now(), this.#sum(cpuMicros)];
    const sample: Sample = {
      seconds: (nowMs - this.#startMs) / 1000,
      rssBytes: this.rssBytes(),
      heapBytes: metrics.sum('nodejs_heap_size_used_bytes'),
      externalBytes: metrics.sum('nodejs_external_memory_bytes'),
      files: this.files(),
      sessions: metrics.sum('ws_active_sessions'),
      bufferedBytes: metrics.sum('ws_buffered_bytes'),
      loopP99Ms: metrics.sum('nodejs_eventloop_lag_p99_seconds') * 1000,
      cpu: (cpu - this.#cpu) / 1000 / (nowMs - this.#cpuMs),
      messages: metrics.sum('ws_messages_total'),
    };
    [this.#cpu, this.#cpuMs] = [cpu, nowMs];
    this.samples.push(sample);
    this.#onSample(sample);
  }
}
