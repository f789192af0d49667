import { z } from 'zod';
import {
  type BootstrapRule,
  CREDENTIAL,
  fieldInArgument,
  isPlaceholder,
  type JsonValue,
  type RouteAuth,
  type TargetedUpstream,
} from '../../config.js';
import { isName, isUrl } from '../../syntax.js';
import { placeholdersOf } from '../target-url.js';
import { httpPath, listOf, mustBe, redirect, word } from './fields.js';

const field = word('the name of a field, or a path to it', (text) => text !== '' && text.length <= 256);
const argument = word('text without NUL', (text) => !text.includes('\0'));

const command = listOf(argument, 'a list of a program and its arguments', 64).refine(
  ([program = '']) => program !== '' && !isPlaceholder(program),
  mustBe('a list that begins with a program'),
);

const mint = z
  .strictObject(
    {
      command: command.optional(),
      url: word('an http:// or https:// URL without fragment', (text) =>
        isUrl(text, { schemes: ['http', 'https'], credentials: true }),
      ).optional(),
      field,
    },
    mustBe('a mapping {command or url, field}'),
  )
  .transform(({ command, url, field }, context): BootstrapRule['mint'] => {
    if (command !== undefined && url === undefined) return { kind: 'command', command, field };
    if (command === undefined && url !== undefined) return { kind: 'url', url, field };
    context.addIssue({ code: 'custom', message: 'must name one of command and url' });
    return z.NEVER;
  });

const body = z
  .json(mustBe('a JSON value'))
  .refine(holdsCredential, mustBe(`a JSON value that holds ${CREDENTIAL} in one of its texts`));

/** The key `bootstrap` of HTTP routes (SPEC section 19). */
export const bootstrap = z
  .strictObject(
    {
      cookie: word('the name of a cookie', isName),
      check: z.strictObject({ path: httpPath, field }, mustBe('a mapping {path, field}')).optional(),
      mint,
      exchange: z.strictObject(
        { paths: listOf(httpPath, 'a list of paths', 16), body },
        mustBe('a mapping {paths, body}'),
      ),
      redirect,
    },
    mustBe('a mapping {cookie, check, mint, exchange, redirect}'),
  )
  .transform((rule): BootstrapRule => ({ ...rule, check: rule.check }))
  .optional();

function holdsCredential(value: JsonValue): boolean {
  if (typeof value === 'string') return value.includes(CREDENTIAL);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(holdsCredential);
}

/** What is wrong with a bootstrap beside the rest of its entry. */
export function bootstrapFaults(
  entry: {
    readonly bootstrap?: BootstrapRule | undefined;
    readonly auth: RouteAuth;
    readonly once: boolean;
    readonly upstream: readonly { readonly url: string }[];
  },
  target: TargetedUpstream | undefined,
): { readonly path: readonly PropertyKey[]; readonly message: string }[] {
  const { bootstrap: rule, auth, once, upstream } = entry;
  if (rule === undefined) return [];
  const faults: { path: readonly PropertyKey[]; message: string }[] = [];
  const fault = (message: string, ...path: string[]) =>
    faults.push({ path: ['bootstrap', ...path], message });
  if (auth === 'public') fault('does not go with auth: public: it is made for somebody');
  if (once) fault('does not go with once: the token would be used up before the page is asked for');
  // A target with faults of its own has been named.
  if (target === undefined && upstream.some(({ url }) => placeholdersOf(url).length > 0)) return faults;
  const fromTable = [target?.host, target?.port].some(
    (part) => typeof part === 'object' && part.kind === 'table',
  );
  const fields =
    rule.mint.kind === 'command' ? rule.mint.command.flatMap((word) => fieldInArgument(word) ?? []) : [];
  if (fields.length > 0 && !fromTable)
    fault(
      `{${fields[0]}} is not known: there is {sub}, and where the upstream comes from a table the fields of its rows`,
      'mint',
      'command',
    );
  return faults;
}
