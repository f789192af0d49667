import type { Log } from '../log/log.js';
import type { ExchangeTrace } from './exchange-trace.js';
import type { OpeningTrace, TraceSource, TracingOptions } from './opening-trace.js';
import type { TraceContext } from './trace-context.js';

/** Traces of openings and exchanges, if an endpoint takes them; else nothing, at no cost. */
export class Tracing {
  #source: TraceSource | undefined;

  /** @param options undefined: off. @param instance tells this process from the others of the service. */
  constructor(
    readonly options: TracingOptions | undefined,
    readonly instance: string,
    readonly log: Log,
  ) {}

  /** Loads what makes traces, which is left out where there are none. */
  async start(): Promise<void> {
    if (this.options === undefined) return;
    const { OtlpTraces } = await import('./otlp-traces.js');
    this.#source = new OtlpTraces(this.options, this.instance, this.log);
  }

  /**
   * The trace of a client's opening; undefined: tracing is off.
   * @param session its id.
   * @param parent the trace it belongs to, as a trusted peer says; undefined: it begins one.
   */
  opening(session: string, ip: string, parent: TraceContext | undefined): OpeningTrace | undefined {
    return this.#source?.opening(session, ip, parent);
  }

  /**
   * The trace of an HTTP exchange; undefined: tracing is off.
   * @param route its prefix, or a label that is no path.
   * @param parent as of an opening.
   */
  exchange(
    method: string,
    route: string,
    ip: string,
    parent: TraceContext | undefined,
  ): ExchangeTrace | undefined {
    return this.#source?.exchange(method, route, ip, parent);
  }

  /** Sends what is left, for `withinMs` at most; then it is lost. */
  async stop(withinMs: number): Promise<void> {
    const source = this.#source;
    if (source === undefined) return;
    this.#source = undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    // Why it could not be sent has been logged where it failed.
    await Promise.race([source.stop().catch(() => {}), late]);
    clearTimeout(timer);
  }
}
