import type { HeaderRules } from '../config/config.js';
import { type TemplatePart, templateParts } from '../config/routes/templates.js';
import { claimText, roleList } from '../request/claim-text.js';
import { type FlatHeaders, withoutLines } from '../request/flat-headers.js';
import { headerName } from '../request/header-names.js';

/** Values for the placeholders of a template. */
export interface TemplateSubject {
  /** undefined: anonymous. */
  readonly identity:
    | { readonly sub: string; readonly preferredUsername: string; readonly roles: readonly string[] }
    | undefined;
  /** The claims of the verified token; called only if a template names one. */
  readonly claims: () => Readonly<Record<string, unknown>> | undefined;
  readonly requestId: string;
}

/** By rules, outside of them, as rules are plain data. */
const known = new WeakMap<HeaderRules, HeaderChanges>();

/** `requestHeaders` or `responseHeaders` of a route, prepared once. */
export function changesOf(rules: HeaderRules): HeaderChanges {
  let changes = known.get(rules);
  if (changes === undefined) {
    changes = new HeaderChanges(rules);
    known.set(rules, changes);
  }
  return changes;
}

/** What a route changes of the header lines that pass. */
export class HeaderChanges {
  readonly #set: readonly { readonly name: string; readonly parts: readonly TemplatePart[] }[];
  /** Names that are removed, including those that are set, as they replace what is there. */
  readonly #gone: ReadonlySet<string>;
  /** The same as CGI-like servers read them, to which X_Tenant is X-Tenant. */
  readonly #goneAlike: ReadonlySet<string>;

  constructor({ set, remove }: HeaderRules) {
    this.#set = set.map(({ name, value }) => ({ name, parts: templateParts(value) }));
    const gone = [...remove, ...set.map(({ name }) => name)].map(headerName);
    this.#gone = new Set(gone.map(({ lower }) => lower));
    this.#goneAlike = new Set(gone.map(({ alike }) => alike));
  }

  /** Whether nothing is changed, as on most routes. */
  get none(): boolean {
    return this.#gone.size === 0;
  }

  /**
   * Whether a client's own line of that name is removed: also in another spelling, as X_Tenant where X-Tenant
   * is set. The gateway's own lines are removed by their exact name only.
   */
  dropsOfRequest(name: string): boolean {
    const { lower, alike, passage } = headerName(name);
    return this.#gone.has(lower) || (passage !== 'ours' && this.#goneAlike.has(alike));
  }

  /** An answer's lines, changed. */
  apply(headers: FlatHeaders, subject: TemplateSubject): FlatHeaders {
    return this.#applied(headers, subject, (name) => this.#gone.has(name));
  }

  /** A request's, likewise. */
  applyToRequest(headers: FlatHeaders, subject: TemplateSubject): FlatHeaders {
    return this.#applied(headers, subject, (name) => this.dropsOfRequest(name));
  }

  #applied(headers: FlatHeaders, subject: TemplateSubject, drops: (name: string) => boolean): FlatHeaders {
    if (this.none) return headers;
    const changed = withoutLines(headers, drops);
    for (const { name, parts } of this.#set) changed.push(name, filled(parts, subject));
    return changed;
  }
}

function filled(parts: readonly TemplatePart[], subject: TemplateSubject): string {
  return parts.map((part) => textOf(part, subject)).join('');
}

/** A placeholder without a value becomes empty; claim text is encoded as in every header (SPEC section 8). */
function textOf(part: TemplatePart, { identity, claims, requestId }: TemplateSubject): string {
  switch (part.kind) {
    case 'text':
      return part.text;
    case 'sub':
      return claimText(identity?.sub ?? '');
    case 'name':
      return claimText(identity?.preferredUsername ?? '');
    case 'roles':
      return roleList(identity?.roles ?? []);
    case 'requestId':
      return requestId;
    case 'claim':
      return claimValue(claimAt(claims(), part.claim));
  }
}

function claimValue(value: unknown): string {
  if (typeof value === 'string') return claimText(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? roleList(value.filter((item) => typeof item === 'string')) : '';
}

/** A claim by its whole name, or else by a path of names separated by dots. */
function claimAt(claims: unknown, path: string): unknown {
  if (own(claims, path) !== undefined) return own(claims, path);
  return path.split('.').reduce((value, name) => own(value, name), claims);
}

function own(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
