import type { HttpRoute } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import type { AnswerListener, HttpRequest, Sending } from '../../upstream/http/sending.js';
import type { Upstreams } from '../../upstream/upstreams.js';
import { passedHeaders } from '../proxy/response-headers.js';

/** Longest body that is kept. */
const MAX_BODY_BYTES = 65_536;

export interface WholeAnswer {
  readonly status: number;
  readonly headers: FlatHeaders;
  /** Cut off at `MAX_BODY_BYTES`. */
  readonly body: Buffer;
}

/**
 * Sends an upstream a request of the gateway's own.
 * @throws GatewayError as `Sending` fails, ERR_UPSTREAM_TIMEOUT, ERR_CLIENT_LOST when the signal says so.
 */
export function askUpstream(
  upstreams: Pick<Upstreams, 'send'>,
  route: HttpRoute,
  request: HttpRequest,
  { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const listener = new Collector(
      (answer) => {
        end();
        resolve(answer);
      },
      (error) => {
        end();
        reject(error);
      },
    );
    const giveUp = (error: GatewayError): void => {
      end();
      sending.abort(error.code === 'ERR_UPSTREAM_TIMEOUT' ? 'lost' : 'destroyed');
      reject(error);
    };
    const late = (): void =>
      giveUp(new GatewayError('ERR_UPSTREAM_TIMEOUT', `no whole answer in ${withinMs} ms`));
    const gone = (): void => giveUp(new GatewayError('ERR_CLIENT_LOST', 'nobody waits for it any more'));
    // First of all: where it cannot be made there is nothing to give up.
    const sending = upstreams.send(route, request, listener);
    listener.sending = sending;
    const timer = setTimeout(late, withinMs);
    signal.addEventListener('abort', gone);
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
    };
    sending.start();
  });
}

class Collector implements AnswerListener {
  sending: Sending | undefined;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #head: Pick<WholeAnswer, 'status' | 'headers'> = { status: 0, headers: [] };

  constructor(
    readonly onAnswer: (answer: WholeAnswer) => void,
    readonly onFailed: (error: GatewayError) => void,
  ) {}

  onReached(): void {}

  onHead(status: number, _: string, headers: readonly string[]): void {
    this.#head = { status, headers: passedHeaders(headers, status, false) };
  }

  onBytes(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    this.#chunks.push(Buffer.from(chunk));
    if (this.#bytes <= MAX_BODY_BYTES) return true;
    this.sending?.abort('destroyed');
    this.onEnd();
    return true;
  }

  onEnd(): void {
    this.onAnswer({ ...this.#head, body: Buffer.concat(this.#chunks).subarray(0, MAX_BODY_BYTES) });
  }
}
