export interface CircuitBreakerOptions {
  /** Faults that open the circuit; 0: it never opens. */
  readonly failureThreshold: number;
  /** Least time the circuit stays open before a trial. */
  readonly openTimeoutMs: number;
}

/** Clock and random numbers, which tests replace. */
export interface CircuitBreakerSources {
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

export type CircuitState = 'closed' | 'half-open' | 'open';

/** Permit for one dial, given back with its outcome. */
export type Permit = number;

/**
 * What failed. `unreachable`: TCP or TLS, which no client can cause. `handshake`: the opening handshake (a
 * 5xx, a drop, no answer), and `lost`: an open connection; both may be caused by what the client sent.
 */
export type Fault = 'unreachable' | 'handshake' | 'lost';

/** Up to a tenth is added to the open timeout, so that replicas do not all try at the same moment. */
const JITTER = 0.1;

/**
 * Keeps an endpoint that fails from being dialled (SPEC section 8). Closed: faults are counted. Open: not
 * dialled until the timeout is over. Half-open: exactly one trial is under way and decides. Outcomes of dials
 * from before the last change of state say nothing about the present and are ignored.
 *
 * Faults that a client may have brought about count once for each client, and only as long as nobody else
 * gets through: otherwise one client could open the circuit for all of them. A dial that succeeds takes back
 * what handshakes of others failed at. It does not take back their lost connections: an upstream that accepts
 * everybody and then drops them would look well. For those a session has to last, or to end properly.
 */
export class CircuitBreaker {
  #state: CircuitState = 'closed';
  /** Faults of the kind `unreachable`. */
  #unreachable = 0;
  /**
   * Clients whose handshakes or connections failed, with the kind of fault that is harder to clear; at most
   * as many as open the circuit.
   */
  readonly #clients = new Map<string, 'handshake' | 'lost'>();
  #lastFaultMs = Number.NEGATIVE_INFINITY;
  #openUntilMs = 0;
  #era: Permit = 0;

  /** @param onChange called at every change of state, for the log. */
  constructor(
    readonly options: CircuitBreakerOptions,
    readonly sources: CircuitBreakerSources,
    readonly onChange: (state: CircuitState) => void,
  ) {}

  get state(): CircuitState {
    return this.#state;
  }

  /** Faults that count now, 0 unless closed. */
  get faults(): number {
    return this.#unreachable + this.#clients.size;
  }

  /** Whether `acquire` would give a permit. */
  get available(): boolean {
    return this.#state === 'closed' || (this.#state === 'open' && this.sources.nowMs() >= this.#openUntilMs);
  }

  /** A permit for a dial; undefined: not now. */
  acquire(): Permit | undefined {
    if (!this.available) return undefined;
    if (this.#state === 'open') this.#change('half-open');
    return this.#era;
  }

  /** Whether a permit is still valid: the circuit has not changed its state since. */
  honours(permit: Permit): boolean {
    return permit === this.#era;
  }

  /**
   * The dial succeeded. If it was a trial, the circuit closes; otherwise handshake faults of other clients
   * are cleared.
   * @param client the client that it was for; see `clientKey`.
   */
  succeeded(permit: Permit, client: string): void {
    if (permit !== this.#era) return;
    if (this.#state === 'half-open') return this.#change('closed');
    for (const [other, fault] of this.#clients)
      if (fault === 'handshake' && other !== client) this.#clients.delete(other);
  }

  /** The dial failed, presumably by the upstream's fault. @param client the client that it was for. */
  failed(permit: Permit, fault: Exclude<Fault, 'lost'>, client: string): void {
    if (permit !== this.#era) return;
    if (this.#state === 'half-open') this.#open();
    else this.#count(fault, client);
  }

  /** The dial said nothing about the upstream: the next one may try at once. */
  released(permit: Permit): void {
    if (permit !== this.#era || this.#state !== 'half-open') return;
    this.#openUntilMs = this.sources.nowMs();
    this.#change('open');
  }

  /** An open connection was lost. @param client the client that it was for. */
  lost(client: string): void {
    this.#count('lost', client);
  }

  /** Whether a fault of this client would count as one more. */
  counts(fault: Fault, client: string): boolean {
    return this.#state === 'closed' && (fault === 'unreachable' || !this.#clients.has(client));
  }

  #count(fault: Fault, client: string): void {
    if (!this.counts(fault, client)) {
      // The kind of fault that is harder to clear is kept.
      if (fault === 'lost' && this.#state === 'closed') this.#clients.set(client, fault);
      return;
    }
    if (fault === 'unreachable') this.#unreachable++;
    else this.#clients.set(client, fault);
    this.#lastFaultMs = this.sources.nowMs();
    const { failureThreshold } = this.options;
    if (failureThreshold === 0) this.#forget();
    else if (this.faults >= failureThreshold) this.#open();
  }

  /** A session was closed properly: the faults are cleared. */
  closedProperly(): void {
    this.#forget();
  }

  /**
   * A session counts as stable from `atMs` on.
   * @returns whether that cleared the faults; not if `atMs` is still to come, or lies before the last fault.
   */
  steadyAt(atMs: number): boolean {
    if (atMs > this.sources.nowMs() || atMs <= this.#lastFaultMs) return false;
    this.#forget();
    return true;
  }

  /** A health check succeeded: an open circuit closes. */
  healthy(): void {
    if (this.#state !== 'closed') this.#change('closed');
  }

  #forget(): void {
    this.#unreachable = 0;
    if (this.#clients.size > 0) this.#clients.clear();
  }

  #open(): void {
    const { nowMs, random } = this.sources;
    this.#openUntilMs = nowMs() + this.options.openTimeoutMs * (1 + JITTER * random());
    this.#change('open');
  }

  #change(state: CircuitState): void {
    this.#state = state;
    this.#forget();
    this.#era++;
    this.onChange(state);
  }
}
