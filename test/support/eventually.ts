import { setTimeout as pause } from 'node:timers/promises';

/**
 * Repeats `check` until it neither throws nor returns false, and returns what it returned.
 * @throws its last error once `withinMs` have passed.
 */
export async function eventually<T>(
  check: () => T | false | Promise<T | false>,
  withinMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    try {
      const result = await check();
      if (result !== false) return result;
      if (Date.now() > deadline) throw new Error(`still false after ${withinMs} ms: ${check}`);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await pause(20);
  }
}

/** `promise`, or an error that names `what` once `withinMs` have passed. */
export async function within<T>(promise: Promise<T>, what: string, withinMs = 15_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${withinMs} ms`)), withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
