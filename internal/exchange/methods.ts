import { isForbiddenMethod } from '../request/methods.js';

/** What is wrong with a request's method; undefined: nothing. */
export type MethodVerdict =
  | { readonly status: 501 }
  | { readonly status: 405; readonly allow: string }
  | undefined;

/**
 * @param method as it came; methods are case-sensitive (RFC 9110 §9.1).
 * @param allowed those of the route, HEAD among them where GET is; undefined: all.
 */
export function judgeMethod(method: string, allowed: readonly string[] | undefined): MethodVerdict {
  if (isForbiddenMethod(method)) return { status: 501 };
  if (allowed === undefined || allowed.includes(method)) return undefined;
  // RFC 9110 §15.5.6: the answer lists the allowed methods.
  return { status: 405, allow: allowed.join(', ') };
}
