import { createPrivateKey } from 'node:crypto';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { Target } from '../config.js';
import { readPrivateKey } from '../key-pair.js';
import { quote } from '../secrets.js';
import { allowRule } from './allow.js';
import { filePath, listOf, mustBe, oneOf, word } from './entry/fields.js';

const MAX_TARGETS = 256;

const entryName = word('a name of letters, digits, - and _', (text) => /^[\w-]{1,64}$/.test(text));
const claimName = word('the name of a claim, or a path to it', (text) => text !== '' && text.length <= 256);

const allowed =
  'a host name whose first labels may be *, an address or a CIDR, each with :port or :port-port if it is not for all ports';
const allow = listOf(
  word(allowed, (text) => allowRule(text) !== undefined),
  `a list of one or more of: ${allowed}`,
  256,
);

const claimSchema = z.strictObject(
  {
    claim: claimName,
    decrypt: z
      .strictObject(
        { privateKeyFile: filePath, padding: oneOf('pkcs1', 'oaep', 'oaep-sha256') },
        mustBe('a mapping {privateKeyFile, padding}'),
      )
      .optional(),
    allow,
  },
  mustBe('a mapping {claim, decrypt, allow}'),
);

const tableSchema = z.strictObject(
  { file: filePath, key: claimName, field: word('the name of a field', (text) => text !== ''), allow },
  mustBe('a mapping {file, key, field, allow}'),
);

/** A target, by where its value comes from. */
export const targetSchemas = { claim: claimSchema, table: tableSchema };

/** Every key that some target may have. */
export const TARGET_KEYS: readonly string[] = [
  ...new Set(Object.values(targetSchemas).flatMap(({ shape }) => Object.keys(shape))),
];

interface TargetFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The targets of a routes file; undefined stands for one with faults. */
export interface TargetsResult {
  readonly found: ReadonlyMap<string, Target | undefined>;
  readonly faults: readonly TargetFault[];
}

/**
 * Reads `targets` of a routes file (SPEC section 19) and the private keys that they name.
 * @param directory what relative paths start from.
 */
export function readTargets(value: unknown, directory: string): TargetsResult {
  const found = new Map<string, Target | undefined>();
  const faults: TargetFault[] = [];
  if (value === undefined || value === null) return { found, faults };
  if (typeof value !== 'object' || Array.isArray(value))
    return { found, faults: [{ path: [], message: 'must be a mapping from names to targets' }] };
  const entries = Object.entries(value);
  if (entries.length > MAX_TARGETS)
    return { found, faults: [{ path: [], message: `must be at most ${MAX_TARGETS}` }] };
  for (const [name, item] of entries) {
    const read = readTarget(name, item, directory);
    found.set(name, Array.isArray(read) ? undefined : read);
    if (Array.isArray(read))
      faults.push(...read.map(({ path, message }) => ({ path: [name, ...path], message })));
  }
  return { found, faults };
}

function readTarget(name: string, item: unknown, directory: string): Target | TargetFault[] {
  if (!entryName.safeParse(name).success)
    return [{ path: [], message: 'must have a name of letters, digits, - and _' }];
  if (typeof item === 'object' && item !== null && Object.hasOwn(item, 'file')) {
    const parsed = tableSchema.safeParse(item);
    if (!parsed.success) return faultsOf(parsed.error.issues);
    const { file, key, field } = parsed.data;
    return {
      kind: 'table',
      name,
      file: resolve(directory, file),
      key,
      field,
      allow: rules(parsed.data.allow),
    };
  }
  const parsed = claimSchema.safeParse(item);
  if (!parsed.success) return faultsOf(parsed.error.issues);
  const { claim, decrypt } = parsed.data;
  const target = { kind: 'claim', name, claim, allow: rules(parsed.data.allow) } as const;
  if (decrypt === undefined) return { ...target, decrypt: undefined };
  const { privateKeyFile, padding } = decrypt;
  const pem = readPrivateKey(resolve(directory, privateKeyFile));
  const path = ['decrypt', 'privateKeyFile'];
  if (!('text' in pem)) return [{ path, message: `${quote(privateKeyFile)} ${pem.fault}` }];
  if (createPrivateKey(pem.text).asymmetricKeyType !== 'rsa')
    return [{ path, message: `${quote(privateKeyFile)} is no RSA key` }];
  return { ...target, decrypt: { privateKey: pem.text, padding } };
}

function rules(texts: readonly string[]) {
  return texts.flatMap((text) => allowRule(text) ?? []);
}

function faultsOf(issues: readonly z.core.$ZodIssue[]): TargetFault[] {
  return issues.flatMap((issue): TargetFault[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: [...issue.path, key], message: 'is not a key that is known here' }))
      : [{ path: issue.path, message: issue.message }],
  );
}
