import type { Config, RouteTable } from '../../internal/config/config.js';
import { certificates } from './certificates.js';
import { clock } from './clock.js';
import type { Finding } from './finding.js';
import { keys } from './keys.js';
import { machine } from './machine.js';
import { stores } from './stores.js';
import { upstreams } from './upstreams.js';

/** Everything outside this process that the gateway depends on. Nothing of it is changed. */
export async function examine(config: Config, table: RouteTable): Promise<readonly Finding[]> {
  const parts = await Promise.all([
    keys(config),
    clock(config),
    stores(config),
    upstreams(config, table),
    certificates(config),
    machine(config),
  ]);
  return parts.flat();
}
