import { LineAllowance } from '../ratelimit/line-allowance.js';
import { isGivenRequestId, type TrustedProxies } from '../request/forwarded.js';
import type { RequestHead } from '../request/head.js';
import { headerText } from '../request/header-text.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import { forLog } from '../telemetry/log/log.js';

/** Writes a log line for each request that is refused with an HTTP error; of a flood, only some. */
export class RefusalLog {
  readonly #allowance = new LineAllowance();

  constructor(
    readonly accessLog: AccessLog,
    readonly proxies: TrustedProxies,
  ) {}

  /**
   * Logs a refused request, without its query, which may hold a token.
   * @param why the limit that refused it, and whom it holds for; undefined: the status says enough.
   */
  refused({ method, target, headers, peer, secure }: RequestHead, status: number, why?: string): void {
    const allowed = this.#allowed();
    if (allowed === undefined) return;
    const { ip, requestId } = this.proxies.client(peer, secure, headers);
    this.accessLog.log.info(
      {
        status,
        why,
        ip,
        requestId: isGivenRequestId(requestId, headers) ? requestId : undefined,
        method: forLog(method),
        path: forLog(target),
        origin: status === 403 ? bounded(headers.get('origin')) : undefined,
        userAgent: bounded(headers.get('user-agent')),
        ...allowed,
      },
      'handshake refused',
    );
  }

  /**
   * Logs a connection that was closed without an answer.
   * @param ip of the peer itself.
   * @param why the limit that refused it.
   */
  refusedConnection(ip: string, why: string): void {
    const allowed = this.#allowed();
    if (allowed === undefined) return;
    this.accessLog.log.info({ status: 'closed', why, ip, ...allowed }, 'connection refused');
  }

  #allowed(): ReturnType<LineAllowance['take']> {
    return this.accessLog.wants(true) ? this.#allowance.take() : undefined;
  }
}

function bounded(lines: readonly string[] | undefined): string | undefined {
  return lines?.[0] === undefined ? undefined : forLog(headerText(lines[0]));
}
