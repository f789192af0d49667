import { TokenBucket } from '../ratelimit/token-bucket.js';
import { isGivenRequestId, type TrustedProxies } from '../request/forwarded.js';
import type { RequestHead } from '../request/head.js';
import { headerText } from '../request/header-text.js';
import type { AccessLog } from '../telemetry/access-log.js';
import { forLog } from '../telemetry/log.js';

/** Anybody can be refused as often as he likes: beyond these, lines are counted instead of written. */
const LINES_PER_SECOND = 10;
const LINES_AT_ONCE = 50;

/** One log line for each request that is answered with an HTTP error, as far as they are not a flood. */
export class RefusalLog {
  readonly #bucket = new TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE, performance.now());
  #unlogged = 0;

  constructor(
    readonly accessLog: AccessLog,
    readonly proxies: TrustedProxies,
  ) {}

  /**
   * Says who was refused what. The query may hold a token: it stays out.
   * @param why which limit said no, and to whom; undefined: the status says it all.
   */
  refused({ method, target, headers, peer, secure }: RequestHead, status: number, why?: string): void {
    if (!this.#mayWrite()) return;
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
        unlogged: this.#unlogged || undefined,
      },
      'handshake refused',
    );
    this.#unlogged = 0;
  }

  /** Says whose connection was closed without an answer. @param ip of the peer itself. @param why which limit said no. */
  closedAtDoor(ip: string, why: string): void {
    if (!this.#mayWrite()) return;
    this.accessLog.log.info(
      { status: 'closed', why, ip, unlogged: this.#unlogged || undefined },
      'connection refused',
    );
    this.#unlogged = 0;
  }

  #mayWrite(): boolean {
    if (!this.accessLog.wants(true)) return false;
    if (this.#bucket.take(performance.now())) return true;
    this.#unlogged++;
    return false;
  }
}

function bounded(lines: readonly string[] | undefined): string | undefined {
  return lines?.[0] === undefined ? undefined : forLog(headerText(lines[0]));
}
