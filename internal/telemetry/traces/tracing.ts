import type { Log } from '../log/log.js';
import type { ExchangeTrace } from './exchange-trace.js';
import type { OpeningTrace, TraceSource, TracingOptions } from './opening-trace.js';
import type { TraceContext } from './trace-context.js';

/** Traces of openings and exchanges; without an endpoint to export to, nothing is done and nothing loaded. */
export class Tracing {
  #source: TraceSource | undefined;

  /** @param options undefined: off. @param instance id of this process among those of the service. */
  constructor(
    readonly options: TracingOptions | undefined,
    readonly instance: string,
    readonly log: Log,
  ) {}

  /** Loads the OpenTelemetry SDK, if tracing is on. */
  async start(): Promise<void> {
    if (this.options === undefined) return;
    const { OtlpTraces } = await import('./otlp-traces.js');
    this.#source = new OtlpTraces(this.options, this.instance, this.log);
  }

  /**
   * The trace of a client's opening; undefined: tracing is off.
   * @param session its id.
   * @param parent the trace it belongs to, from a trusted peer; undefined: it begins one.
   */
  opening(session: string, ip: string, parent: TraceContext | undefined): OpeningTrace | undefined {
    return this.#source?.opening(session, ip, parent);
  }

  /**
   * The trace of an HTTP exchange; undefined: tracing is off.
   * @param route its prefix, or a label that is no path.
   * @param parent as for an opening.
   */
  exchange(
    method: string,
    route: string,
    ip: string,
    parent: TraceContext | undefined,
  ): ExchangeTrace | undefined {
    return this.#source?.exchange(method, route, ip, parent);
  }

  /** Exports what is left, for `withinMs` at most; the rest is lost. */
  async stop(withinMs: number): Promise<void> {
    const source = this.#source;
    if (source === undefined) return;
    this.#source = undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    // The exporter has logged why it failed.
    await Promise.race([source.stop().catch(() => {}), late]);
    clearTimeout(timer);
  }
}
