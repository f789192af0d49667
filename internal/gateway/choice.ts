import type { ListenConfig } from '../config/config.js';
import { GatewayError } from '../errors.js';
import { uwsFault } from './uws/soundness.js';

export interface ListenerChoice {
  readonly kind: 'node' | 'uws';
  /** For the start-up line. */
  readonly why: string;
}

/**
 * Which listener serves (SPEC section 4a). If it may be uWebSockets.js, its build is tested first.
 * @param hasHttpRoutes they need `node`; a setting beside them that needs `uws` has been refused with the
 *   routes file.
 * @param ask tells what is wrong with the build; undefined: nothing. A parameter for tests.
 * @throws GatewayError ERR_CONFIG when what is wanted cannot be had; the message names the variables.
 */
export async function chooseListener(
  { listener, tls, compression }: Pick<ListenConfig, 'listener' | 'tls' | 'compression'>,
  hasHttpRoutes: boolean,
  ask: () => Promise<string | undefined> = uwsFault,
): Promise<ListenerChoice> {
  if (listener === 'node') return { kind: 'node', why: 'LISTENER=node' };
  if (listener === 'auto' && hasHttpRoutes && compression === 'off')
    return { kind: 'node', why: 'there are HTTP routes' };
  const compresses = compression !== 'off';
  if (listener === 'auto' && tls === undefined && !compresses)
    return { kind: 'node', why: 'neither TLS nor compression is asked for' };
  const fault = await ask();
  const wish = compresses ? `WS_COMPRESSION=${compression}` : 'TLS_CERT_FILE';
  if (fault === undefined)
    return { kind: 'uws', why: listener === 'uws' ? 'LISTENER=uws' : `${wish} is set` };
  if (listener === 'uws')
    throw new GatewayError('ERR_CONFIG', `LISTENER: uws cannot be had, uWebSockets.js ${fault}`);
  if (compresses)
    throw new GatewayError(
      'ERR_CONFIG',
      `WS_COMPRESSION: ${compression} needs uWebSockets.js, which ${fault}`,
    );
  return { kind: 'node', why: `${wish} is set, but uWebSockets.js ${fault}` };
}
