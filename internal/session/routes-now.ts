import type { UpstreamRoute } from '../config/config.js';
import type { Opening } from './opening/opening.js';

/** What a reload of the routes means to clients that are here already. */
export interface RoutesNow {
  /** The routes of a client that has waited; see `matchesNow`. */
  matches(opening: Opening): Opening['matches'];
  /** What has become of a route; undefined: it is gone. */
  successor(route: UpstreamRoute): UpstreamRoute | undefined;
}
