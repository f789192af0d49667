import { GatewayError } from '../errors.js';

/**
 * `promise`, or ERR_STORE after `timeoutMs`. What the promise does later is ignored.
 * @throws GatewayError ERR_STORE when late, else whatever the promise rejects with.
 */
export async function withinDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GatewayError('ERR_STORE', 'timeout')), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
