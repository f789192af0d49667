import { z } from 'zod';
import type { HeaderIdentityRule } from '../../config.js';
import { isAddressOrCidr, isName } from '../../syntax.js';
import { flag, listOf, mustBe, oneOf, word } from './fields.js';

/** Headers that say something else, or that a proxy in between changes. */
const NO_IDENTITY = new Set([
  ...[
    'authorization',
    'cookie',
    'host',
    'connection',
    'upgrade',
    'origin',
    'content-length',
    'te',
    'trailer',
  ],
  ...['transfer-encoding', 'x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'],
]);

const headerName = word(
  'the name of a header that a proxy in front says who the user is with',
  (name) => isName(name) && !NO_IDENTITY.has(name.toLowerCase()),
).transform((name) => name.toLowerCase());

const headerIdentity = z
  .strictObject(
    {
      header: headerName,
      stripDomain: flag(false),
      name: headerName.optional(),
      roles: headerName.optional(),
      separator: word('text of 1 to 16 characters', (text) => text.length >= 1 && text.length <= 16).default(
        ',',
      ),
      from: listOf(
        word('an address or a CIDR', isAddressOrCidr),
        'a list of addresses or CIDRs of the peers that are believed',
        256,
      ),
    },
    mustBe('a mapping {header, stripDomain, name, roles, separator, from}'),
  )
  .superRefine(({ header, name, roles }, context) => {
    if (name === header)
      context.addIssue({ code: 'custom', path: ['name'], message: 'is the same as header' });
    if (roles === header || (roles !== undefined && roles === name))
      context.addIssue({ code: 'custom', path: ['roles'], message: 'is the same as header or name' });
  })
  .transform((rule): HeaderIdentityRule => ({ ...rule, name: rule.name, roles: rule.roles }));

const authWord = z.enum(
  ['required', 'public'],
  mustBe('required or public, or a mapping {header, stripDomain, name, roles, separator, from}'),
);

/** What `auth` takes. */
export const authShape = z.union([authWord, headerIdentity]);

/** `auth`: one word, or the rule of a trusted header (SPEC section 18), each with its own messages. */
export const auth = z
  .unknown()
  .transform((value, context): 'required' | 'public' | HeaderIdentityRule => {
    const isMapping = typeof value === 'object' && value !== null;
    const parsed = (isMapping ? headerIdentity : authWord).safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues)
      context.addIssue(
        issue.code === 'unrecognized_keys'
          ? { ...issue, input: {} }
          : { code: 'custom', path: [...issue.path], message: issue.message },
      );
    return z.NEVER;
  })
  .default('required');

export const onlyRequired = oneOf('required').default('required');
