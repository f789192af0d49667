import type { Logger } from 'pino';
import type { Config, UpstreamRoute } from '../../internal/config/config.js';
import { fromUnknown, GatewayError } from '../../internal/errors.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { type DialRequest, Upstreams } from '../../internal/upstream/upstreams.js';
import type { UpstreamConnection } from '../../internal/upstream/websocket/connection.js';
import { DialFailure } from '../../internal/upstream/websocket/dial-failure.js';

/** What became of dialling one endpoint. */
export interface Dialled {
  /** As the admin API names it: without its query. */
  readonly upstream: string;
  readonly ms: number;
  /** undefined: it answered 101. */
  readonly failure?: { readonly status: number | undefined; readonly why: string };
}

/** RFC 6455 §7.4.1 */
const GOING_AWAY = 1001;

/** Dials every endpoint of a route once, as for this very client, and closes at once. */
export async function dialAll(
  route: UpstreamRoute,
  request: DialRequest,
  config: Config,
  log: Logger,
): Promise<readonly Dialled[]> {
  const { destination } = request;
  const urls = destination === undefined ? route.upstreams : [destination.url];
  return Promise.all(urls.map((url) => dialOne({ ...route, upstreams: [url] }, request, config, log)));
}

async function dialOne(
  route: UpstreamRoute,
  request: DialRequest,
  { upstream, session }: Config,
  log: Logger,
): Promise<Dialled> {
  const upstreams = new Upstreams(
    { ...upstream, dialAttempts: 1, healthcheckIntervalMs: 0, controlTimeoutMs: session.controlTimeoutMs },
    new Metrics(0),
    log,
  );
  if (request.destination === undefined) upstreams.apply({ routes: [route] });
  const startedMs = performance.now();
  const { host, pathname, protocol } = new URL(request.destination?.url ?? route.upstreams[0] ?? '');
  const told = () => ({
    upstream: `${protocol}//${host}${pathname}`,
    ms: Math.round(performance.now() - startedMs),
  });
  try {
    const connection = await upstreams.dial(route, request);
    const answered = told();
    await goodbye(connection);
    return answered;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    const { cause } = thrown;
    const failure = cause instanceof DialFailure ? cause : thrown;
    const behind = failure.cause === undefined ? '' : ` (${codeOf(failure.cause)})`;
    const status = failure instanceof DialFailure ? failure.status : undefined;
    return { ...told(), failure: { status, why: `${failure.message}${behind}` } };
  } finally {
    upstreams.stop();
  }
}

/** Ends within the control timeout. What the upstream says meanwhile is for nobody. */
function goodbye(connection: UpstreamConnection): Promise<void> {
  return new Promise((resolve) => {
    connection.start({
      onUpstreamMessage() {},
      onUpstreamFragment() {},
      onUpstreamBatch: (work) => work(),
      onUpstreamDrain() {},
      onUpstreamClose: () => resolve(),
      onUpstreamLost: () => resolve(),
    });
    connection.close(GOING_AWAY, '');
  });
}

function codeOf(cause: unknown): string {
  const error = fromUnknown(cause);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
