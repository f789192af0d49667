/**
 * Whether a method is refused on every route: CONNECT asks for a tunnel to a place of the client's choice,
 * TRACE for an echo of what proxies added (RFC 9110 §9.3.6, §9.3.8).
 * @param method as it came; methods are case-sensitive (RFC 9110 §9.1).
 */
export function isForbiddenMethod(method: string): boolean {
  return method === 'CONNECT' || method === 'TRACE';
}
