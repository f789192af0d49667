import { z } from 'zod';
import { ALGORITHMS } from './algorithms.js';
import type { Algorithm, IssuerConfig } from './config.js';
import type { Problem } from './problem.js';
import { listOf, mustBe, oneOf, word } from './routes/entry/fields.js';
import { readYaml, type YamlSource } from './routes/yaml-source.js';
import { isUrl } from './syntax.js';
import { readTextFile } from './text-file.js';

/** Largest file of issuers: room for hundreds. */
const MAX_BYTES = 262_144;
const MAX_ISSUERS = 256;

/** The environment's settings, for entries without their own. */
export interface IssuerDefaults {
  readonly audiences: readonly string[];
  readonly algorithms: readonly Algorithm[];
  readonly rolesClaims: readonly string[] | undefined;
}

const text = (allowed: string) => word(allowed, (value) => /^[ -~]+$/.test(value) && value.trim() === value);
const texts = (allowed: string) =>
  z.preprocess((value) => (typeof value === 'string' ? [value] : value), listOf(text(allowed), allowed, 64));
const httpUrl = word('an http:// or https:// URL without credentials and fragment', (url) =>
  isUrl(url, { schemes: ['http', 'https'], credentials: false }),
);

const entrySchema = z.strictObject(
  {
    name: word('1 to 64 letters, digits and _ . -', (name) => /^[\w.-]{1,64}$/.test(name)),
    issuer: text('what iss must be, to the letter: printable ASCII text'),
    jwksUrl: httpUrl.optional(),
    audience: texts('an audience or a list of them: printable ASCII text').optional(),
    algorithms: listOf(oneOf(...ALGORITHMS), 'a list of algorithms', ALGORITHMS.length).optional(),
    rolesClaims: texts('the name of a claim or a list of them').optional(),
  },
  mustBe('a mapping with at least name and issuer'),
);

type Entry = z.output<typeof entrySchema>;

/**
 * Reads the trusted issuers of ISSUERS_FILE and their rules (SPEC section 23), or all problems of the file.
 */
export function readIssuers(
  file: string,
  defaults: IssuerDefaults,
): { readonly issuers: readonly IssuerConfig[] } | { readonly problems: readonly Problem[] } {
  const read = readTextFile(file, MAX_BYTES);
  if ('fault' in read)
    return { problems: [{ name: 'ISSUERS_FILE', message: `${JSON.stringify(file)} ${read.fault}` }] };
  const source = readYaml(read.text);
  if ('faults' in source)
    return { problems: source.faults.map(({ line, message }) => problem(file, line, 'YAML', message)) };
  return parse(source, file, defaults);
}

function parse(source: YamlSource, file: string, defaults: IssuerDefaults) {
  const problems: Problem[] = [];
  const complain = (path: readonly PropertyKey[], message: string) => {
    const [index, ...keys] = path;
    const name =
      keys.length > 0
        ? keys.map(String).join('.')
        : index === undefined
          ? 'issuers'
          : `issuer ${Number(index) + 1}`;
    problems.push(problem(file, source.locate(path).line, name, message));
  };
  const { value } = source;
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ISSUERS) {
    complain([], `must be a list of 1 to ${MAX_ISSUERS} issuers, each with at least name and issuer`);
    return { problems };
  }
  const items: unknown[] = value;
  const entries = items.flatMap((item, index) => {
    const parsed = entrySchema.safeParse(item);
    if (parsed.success) return [{ ...parsed.data, index }];
    for (const issue of parsed.error.issues) {
      if (issue.code !== 'unrecognized_keys') complain([index, ...issue.path], issue.message);
      else
        for (const key of issue.keys)
          complain([index, ...issue.path, key], 'is not a key that is known here');
    }
    return [];
  });
  for (const [at, entry] of entries.entries()) {
    const { index, issuer, jwksUrl } = entry;
    for (const key of ['name', 'issuer'] as const)
      if (entries.slice(0, at).some((earlier) => earlier[key] === entry[key]))
        complain([index, key], `${JSON.stringify(entry[key])} is given twice`);
    // OpenID Connect Discovery 1.0 §4: the issuer is the base of the address that is asked for the JWKS.
    if (jwksUrl === undefined && !isUrl(issuer, { schemes: ['http', 'https'], credentials: false }))
      complain(
        [index, 'issuer'],
        'must be an http:// or https:// URL, as the keys are discovered from it (or give jwksUrl)',
      );
  }
  if (problems.length > 0) return { problems };
  return { issuers: entries.map((entry) => issuerOf(entry, defaults)) };
}

function issuerOf(
  { name, issuer, jwksUrl, audience, algorithms, rolesClaims }: Entry,
  defaults: IssuerDefaults,
): IssuerConfig {
  return {
    name,
    issuer,
    keySource: jwksUrl === undefined ? { kind: 'issuer', issuer } : { kind: 'jwks', url: jwksUrl },
    audiences: audience ?? defaults.audiences,
    algorithms: algorithms ?? defaults.algorithms,
    rolesClaims: rolesClaims ?? defaults.rolesClaims,
  };
}

function problem(file: string, line: number, key: string, message: string): Problem {
  return { name: `${file}:${line}: ${key}`, message };
}
