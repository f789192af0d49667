import type { Target, TargetedUpstream } from '../config.js';

/** An upstream URL in which a placeholder may stand for the whole host or whole port (SPEC section 19). */
const TEMPLATE = /^([A-Za-z]+:)\/\/(\{[\w-]+\}|[^{}/?:@[\]]+|\[[^\]]*\])(?::(\{[\w-]+\}|\d+))?([/?].*)?$/s;

const PLACEHOLDER = /^\{([\w-]+)\}$/;

/** The names of the targets in a URL. */
export function placeholdersOf(url: string): readonly string[] {
  const [, , host = '', port = ''] = TEMPLATE.exec(url) ?? [];
  return [host, port].flatMap((part) => PLACEHOLDER.exec(part)?.[1] ?? []);
}

/** The URL with something fit in the place of each placeholder; as it is when there is none. */
export function withoutPlaceholders(url: string): string {
  if (placeholdersOf(url).length === 0) return url;
  const [, scheme = '', host = '', port, path = ''] = TEMPLATE.exec(url) ?? [];
  const portText = port === undefined ? '' : `:${PLACEHOLDER.test(port) ? '1' : port}`;
  return `${scheme}//${PLACEHOLDER.test(host) ? 'host' : host}${portText}${path}`;
}

/** What a URL with placeholders means; undefined: one of its targets is not there. */
export function targetedUpstream(
  url: string,
  targets: ReadonlyMap<string, Target | undefined>,
): TargetedUpstream | undefined {
  const [, scheme = '', hostText = '', portText = '', path = '/'] = TEMPLATE.exec(url) ?? [];
  const filled = (text: string): string | Target | undefined => {
    const name = PLACEHOLDER.exec(text)?.[1];
    return name === undefined ? text.toLowerCase() : targets.get(name);
  };
  const host = filled(hostText);
  const port = filled(portText);
  if (host === undefined || port === undefined) return undefined;
  const name = url.replace(/\?.*$/s, '');
  return { name, scheme: scheme.toLowerCase(), host, port, path: path.startsWith('/') ? path : `/${path}` };
}
