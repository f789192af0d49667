import { GatewayError } from '../errors.js';

/**
 * `promise`, or ERR_STORE after `timeoutMs`. What the promise does later is ignored. An answer that has
 * arrived while this process was too busy to read it is in time.
 * @throws GatewayError ERR_STORE when late, else whatever the promise rejects with.
 */
export async function withinDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const giveUp = () => reject(new GatewayError('ERR_STORE', 'timeout'));
    // Timers run before what sockets have received is read, immediates after it.
    timer = setTimeout(() => setImmediate(giveUp), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
