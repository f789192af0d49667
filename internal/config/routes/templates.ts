/** One piece of a header value that a route sets: text as it is, or something of the request. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'sub' | 'name' | 'roles' | 'requestId' }
  | { readonly kind: 'claim'; readonly claim: string };

/** A name in braces. Other braces, as in JSON, stand for themselves. */
const PLACEHOLDER = /\{([A-Za-z][^{}"\s]*)\}/g;

/** What a placeholder stands for; undefined: nothing. */
function placeholder(name: string): TemplatePart | undefined {
  if (name === 'sub' || name === 'name' || name === 'roles' || name === 'requestId') return { kind: name };
  const claim = name.startsWith('claim.') ? name.slice('claim.'.length) : '';
  return claim === '' ? undefined : { kind: 'claim', claim };
}

/** The parts of a template that `templateFault` found nothing wrong with. */
export function templateParts(template: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const found of template.matchAll(PLACEHOLDER)) {
    if (found.index > end) parts.push({ kind: 'text', text: template.slice(end, found.index) });
    parts.push(placeholder(found[1] ?? '') ?? { kind: 'text', text: found[0] });
    end = found.index + found[0].length;
  }
  if (end < template.length) parts.push({ kind: 'text', text: template.slice(end) });
  return parts;
}

/** What is wrong with a template, or undefined. */
export function templateFault(template: string): string | undefined {
  for (const [written, name = ''] of template.matchAll(PLACEHOLDER)) {
    if (placeholder(name) === undefined)
      return `${written} is not known: there are {sub}, {name}, {roles}, {claim.NAME} and {requestId}`;
  }
  return undefined;
}
