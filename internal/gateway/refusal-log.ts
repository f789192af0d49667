import { LineAllowance } from '../ratelimit/line-allowance.js';
import { isGivenRequestId, type TrustedProxies } from '../request/forwarded.js';
import type { RequestHead } from '../request/head.js';
import { headerText } from '../request/header-text.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import { forLog } from '../telemetry/log/log.js';

/** One log line for each request that is answered with an HTTP error, as far as they are not a flood. */
export class RefusalLog {
  readonly #allowance = new LineAllowance();

  constructor(
    readonly accessLog: AccessLog,
    readonly proxies: TrustedProxies,
  ) {}

  /**
   * Says who was refused what. The query may hold a token: it stays out.
   * @param why which limit said no, and to whom; undefined: the status says it all.
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
   * Says whose connection was closed without an answer.
   * @param ip of the peer itself.
   * @param why which limit said no.
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
