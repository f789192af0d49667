/**
 * Whether it is a method that nobody gets, whatever is asked for: a tunnel to wherever the client likes, and
 * an echo of what proxies added (RFC 9110 §9.3.6, §9.3.8).
 * @param method as it came; methods are case-sensitive (RFC 9110 §9.1).
 */
export function isNobodys(method: string): boolean {
  return method === 'CONNECT' || method === 'TRACE';
}
