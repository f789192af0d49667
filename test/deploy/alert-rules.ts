import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** An alert, or a recording rule. */
export interface RuleText {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const RULES_FILE = fileURLToPath(new URL('../../deploy/prometheus/alerts.yml', import.meta.url));

export async function readRules(): Promise<readonly RuleText[]> {
  const { groups } = parse(await readFile(RULES_FILE, 'utf8')) as { groups: { rules: RuleText[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** A selector, a text, `absent`, or a comparison. */
const TOKENS = /\{(?:"(?:[^"\\]|\\.)*"|[^}"])*\}|"(?:[^"\\]|\\.)*"|\babsent\b|[=!]=|[<>]=?/g;

/**
 * An alert's expression without what makes it silent while all is well: every comparison says 0 or 1 for each
 * series instead of dropping it (`bool`), and `absent(x)` is `x`. What comes out is empty only if a series
 * that the alert looks at does not exist, or two that it joins do not fit together.
 */
export function withoutThresholds(expression: string): string {
  return expression.replaceAll(TOKENS, (token) => {
    if (token === 'absent') return '';
    return /^[=!<>]/.test(token) ? `${token} bool` : token;
  });
}
