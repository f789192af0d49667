/**
 * Whether a route for those hosts serves a client that asks for `host`; empty: it does.
 * @param host as `hostNameOf` gives it.
 */
export function fitsHosts(hosts: readonly string[], host: string): boolean {
  return hosts.length === 0 || hosts.some((pattern) => fits(pattern, host));
}

/** `*.` stands for any labels before the name, at least one. */
function fits(pattern: string, host: string): boolean {
  return pattern.startsWith('*.')
    ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length
    : host === pattern;
}

/** Whether some of `hosts` takes all that `pattern` does. */
export function hostsCover(hosts: readonly string[], pattern: string | undefined): boolean {
  if (hosts.length === 0 || pattern === undefined) return hosts.length === 0;
  return hosts.includes(pattern) || hosts.some((wider) => wider.startsWith('*.') && fits(wider, pattern));
}

/** The name of a Host header: lower-case, without port, brackets and the final dot of the root. */
export function hostNameOf(host: string): string {
  const [, bracketed, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return (bracketed ?? name ?? host).toLowerCase().replace(/\.$/, '');
}
