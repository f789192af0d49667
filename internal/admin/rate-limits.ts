import { hasUpstreams, type Route, type RouteTable } from '../config/config.js';
import type { LimitSetting, LimitsInForce } from '../ratelimit/limits-in-force.js';
import { invalid, readParameters } from './parameters.js';
import { invalidPayload, member, missing, parsePayload, textMember } from './payload.js';

/** What PUT /admin/ratelimits asks for. */
export interface LimitOrder extends LimitSetting {
  /** A route's prefix; undefined: the default. */
  readonly route: string | undefined;
}

/** Limits messages, on HTTP routes requests; 0: no limit. */
interface LimitInfo {
  readonly perSecond: number;
  readonly burst: number;
  /** Present only where the route has its own byte limit. */
  readonly bytesPerSecond?: number;
}

export interface LimitsInfo {
  /** For routes without their own limit. */
  readonly default: LimitInfo;
  /** By prefix. */
  readonly routes: Readonly<Record<string, LimitInfo>>;
  /** Which of them the admin API has set, and not the configuration. */
  readonly changed: { readonly default: boolean; readonly routes: readonly string[] };
}

/** The same upper bound as in the configuration. */
const MAX_RATE = 1_000_000_000;

/**
 * The body of PUT /admin/ratelimits: `{"perSecond", "burst", "bytesPerSecond"?, "route"?}`.
 * @throws AdminRefusal 400
 */
export function readLimitOrder(body: Buffer, { routes }: RouteTable): LimitOrder {
  const payload = parsePayload(body);
  const perSecond = rate(member(payload, 'perSecond'), 'perSecond', 0);
  const burst = rate(member(payload, 'burst'), 'burst', 1);
  const bytesPerSecond = rate(member(payload, 'bytesPerSecond'), 'bytesPerSecond', 0);
  const route = textMember(payload, 'route');
  if (perSecond === undefined) throw missing('perSecond');
  if (burst === undefined) throw missing('burst');
  if (!Number.isInteger(burst)) throw invalidPayload('burst must be a whole number');
  if (route !== undefined && !routes.some(({ prefix }) => prefix === route))
    throw invalidPayload('no route has this prefix');
  return { perSecond, burst, bytesPerSecond, route };
}

function rate(value: unknown, name: string, min: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value >= min && value <= MAX_RATE))
    throw invalidPayload(`${name} must be a number, ${min} to ${MAX_RATE}`);
  return value;
}

/**
 * The route of DELETE /admin/ratelimits; undefined: the default.
 * @throws AdminRefusal 400
 */
export function readLimitRoute(
  query: string,
  { routes }: RouteTable,
  limits: Pick<LimitsInForce, 'setting'>,
): string | undefined {
  const route = readParameters(query, ['route']).get('route');
  if (route === undefined) return undefined;
  // A route that a reload removed may have left a setting.
  if (!routes.some(({ prefix }) => prefix === route) && limits.setting(route) === undefined)
    throw invalid('no route has this prefix');
  return route;
}

/** The limits in force: the default, and those of routes that have their own. */
export function showLimits({ routes }: RouteTable, limits: LimitsInForce): LimitsInfo {
  const shown = new Map<string, LimitInfo>();
  const changed: string[] = [];
  for (const route of routes) {
    const { prefix } = route;
    const set = limits.setting(prefix);
    const own = set === undefined ? configuredLimit(route) : limitInfo(set);
    if (own === undefined || shown.has(prefix)) continue;
    shown.set(prefix, own);
    if (set !== undefined) changed.push(prefix);
  }
  return {
    default: limits.default,
    routes: Object.fromEntries(shown),
    changed: { default: limits.setting(undefined) !== undefined, routes: changed },
  };
}

function limitInfo({ perSecond, burst, bytesPerSecond }: LimitSetting): LimitInfo {
  return { perSecond, burst, ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }) };
}

function configuredLimit(route: Route): LimitInfo | undefined {
  const ofMessages = hasUpstreams(route) ? route.rateLimit : undefined;
  if (ofMessages !== undefined || route.kind === 'websocket') return ofMessages;
  const { requestLimit } = route;
  if (requestLimit === undefined) return undefined;
  return { perSecond: (requestLimit.requests * 1_000) / requestLimit.perMs, burst: requestLimit.burst };
}
