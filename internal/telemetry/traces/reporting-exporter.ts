import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { forLog, type Log } from '../log/log.js';

type OnResult = Parameters<SpanExporter['export']>[1];

/** An exporter that logs, once each, when exports begin to fail and when they succeed again. */
export class ReportingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: Log;
  /** Spans lost since the last successful export. */
  #lost = 0;

  constructor(exporter: SpanExporter, log: Log) {
    this.#exporter = exporter;
    this.#log = log;
  }

  export(spans: ReadableSpan[], onResult: OnResult): void {
    this.#exporter.export(spans, (result) => {
      // ExportResultCode.SUCCESS
      if (result.code === 0) this.#delivered();
      else this.#failed(spans.length, result.error);
      onResult(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #failed(spans: number, error: Error | undefined): void {
    if (this.#lost === 0) {
      const reason = error?.message || (error as NodeJS.ErrnoException | undefined)?.code;
      this.#log.warn({ reason: reason && forLog(reason) }, 'traces are not delivered, they are dropped');
    }
    this.#lost += spans;
  }

  #delivered(): void {
    if (this.#lost > 0) this.#log.info({ lost: this.#lost }, 'traces are delivered again');
    this.#lost = 0;
  }
}
