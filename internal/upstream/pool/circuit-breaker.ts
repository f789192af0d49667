export interface CircuitBreakerOptions {
  /** Consecutive faults that open the circuit; 0: it never opens. */
  readonly failureThreshold: number;
  /** Least time the circuit stays open before a trial. */
  readonly openTimeoutMs: number;
}

/** Sources of time and chance, so that tests can be both. */
export interface CircuitBreakerSources {
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

export type CircuitState = 'closed' | 'half-open' | 'open';

/** Leave to dial once, given back with the outcome. */
export type Permit = number;

/** Up to a tenth is added to the open timeout, so that the replicas of a gateway do not try in step. */
const JITTER = 0.1;

/**
 * Keeps an endpoint that fails from being dialled (SPEC section 8). Closed: faults are counted. Open: not dialled until the
 * timeout is over. Half-open: exactly one trial is under way and decides. Outcomes of dials from before the last
 * change of state say nothing about the present and are ignored.
 */
export class CircuitBreaker {
  #state: CircuitState = 'closed';
  #faults = 0;
  #lastFaultMs = Number.NEGATIVE_INFINITY;
  #openUntilMs = 0;
  #era: Permit = 0;

  /** @param onChange hears every change of state, for the log. */
  constructor(
    readonly options: CircuitBreakerOptions,
    readonly sources: CircuitBreakerSources,
    readonly onChange: (state: CircuitState) => void,
  ) {}

  get state(): CircuitState {
    return this.#state;
  }

  /** Consecutive faults, 0 unless closed. */
  get faults(): number {
    return this.#faults;
  }

  /** Whether `acquire` would give a permit. */
  get available(): boolean {
    return this.#state === 'closed' || (this.#state === 'open' && this.sources.nowMs() >= this.#openUntilMs);
  }

  /** Leave to dial; undefined: not now. */
  acquire(): Permit | undefined {
    if (!this.available) return undefined;
    if (this.#state === 'open') this.#change('half-open');
    return this.#era;
  }

  /** The dial succeeded. A trial that does closes the circuit; otherwise only time or a proper close take faults back. */
  succeeded(permit: Permit): void {
    if (permit === this.#era && this.#state === 'half-open') this.#change('closed');
  }

  /** The dial failed by fault of the upstream. */
  failed(permit: Permit): void {
    if (permit !== this.#era) return;
    if (this.#state === 'half-open') this.#open();
    else this.fault();
  }

  /** The dial said nothing about the upstream: the next one may try at once. */
  released(permit: Permit): void {
    if (permit !== this.#era || this.#state !== 'half-open') return;
    this.#openUntilMs = this.sources.nowMs();
    this.#change('open');
  }

  /** The upstream failed outside a dial: an open connection was lost. */
  fault(): void {
    if (this.#state !== 'closed') return;
    this.#faults++;
    this.#lastFaultMs = this.sources.nowMs();
    const { failureThreshold } = this.options;
    if (failureThreshold > 0 && this.#faults >= failureThreshold) this.#open();
  }

  /** A session was closed properly: the faults are taken back. */
  closedProperly(): void {
    this.#faults = 0;
  }

  /**
   * A session has been, or will have been, open long enough at `atMs`.
   * @returns whether that took the faults back; not if it is still to come, or came before the last of them.
   */
  steadyAt(atMs: number): boolean {
    if (atMs > this.sources.nowMs() || atMs <= this.#lastFaultMs) return false;
    this.#faults = 0;
    return true;
  }

  /** A health check succeeded: an open circuit closes. */
  healthy(): void {
    if (this.#state !== 'closed') this.#change('closed');
  }

  #open(): void {
    const { nowMs, random } = this.sources;
    this.#openUntilMs = nowMs() + this.options.openTimeoutMs * (1 + JITTER * random());
    this.#change('open');
  }

  #change(state: CircuitState): void {
    this.#state = state;
    this.#faults = 0;
    this.#era++;
    this.onChange(state);
  }
}
