import { z } from 'zod';
import { NO_TOKEN_RULES, type TokenRules } from '../../config.js';
import { flag, listOf, mustBe, word } from './fields.js';

const text = (allowed: string) => word(allowed, (value) => /^[ -~]+$/.test(value) && value.trim() === value);
const scope = word('a scope: printable ASCII without blanks', (value) => /^[!-~]+$/.test(value));

/** The keys of an entry that make its `TokenRules`. */
export const tokenRuleKeys = {
  issuers: listOf(
    word('the name of an issuer', (name) => name !== ''),
    'a list of names of ISSUERS_FILE',
    256,
  ).optional(),
  audience: z.preprocess(
    (value) => (typeof value === 'string' ? [value] : value),
    listOf(text('an audience: printable ASCII text'), 'an audience or a list of them', 64).optional(),
  ),
  requireScopes: listOf(scope, 'a list of one or more scopes', 256).optional(),
  once: flag(false),
};

const keysSchema = z.object(tokenRuleKeys, mustBe('a mapping'));
type TokenRuleKeys = z.output<typeof keysSchema>;

/** The rules of an entry, each text once; one shared object for entries without any. */
export function tokenRulesOf({ issuers, audience, requireScopes, once }: TokenRuleKeys): TokenRules {
  if (issuers === undefined && audience === undefined && requireScopes === undefined && !once)
    return NO_TOKEN_RULES;
  return {
    issuers: [...new Set(issuers)],
    audience: [...new Set(audience)],
    requireScopes: [...new Set(requireScopes)],
    once,
  };
}
