import { isSecret } from '../environment/variables.js';
import { quote, readVariableText } from '../secrets.js';
import type { Filled, TextInFile } from './yaml-source.js';

/**
 * `${NAME}`, `${NAME:-default}`, or what begins like one of them; with another `$` before it
 * the text itself is meant.
 */
const PLACEHOLDER = /\$?\$\{(?:([A-Za-z_]\w*)(?::-([^{}]*))?\})?/g;

/** A text with placeholders: filled in, and as messages may show it. */
interface Replaced {
  readonly value: unknown;
  readonly written: string;
}

/**
 * Fills `${NAME}` and `${NAME:-default}` in the texts of a routes file from the environment, or from the file
 * that `NAME_FILE` names. It happens after the file is parsed: no value can add a key or a route. What a
 * value has become is never shown, as it may be a secret.
 */
export class Placeholders {
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #replaced: Replaced[] = [];

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    this.#environment = environment;
  }

  /** For `readYaml`. */
  fill({ text, plain, keys }: TextInFile): Filled | undefined {
    // The body of a fixed answer is public: RESPOND_VARIABLES lists the variables that may be in it.
    if (!text.includes('${') || keys.slice(-2).join('.') === 'respond.body') return undefined;
    let fault: string | undefined;
    const filled = text.replaceAll(PLACEHOLDER, (written, name?: string, fallback?: string) => {
      if (written.startsWith('$$')) return written.slice(1);
      const found = name === undefined ? malformed(written) : this.#lookUp(name, fallback);
      if ('fault' in found) fault ??= found.fault;
      return 'fault' in found ? '' : found.text;
    });
    if (fault !== undefined) return { fault };
    // As in a YAML file that was written out: a plain `${LIMIT}` can be a number, a quoted one is text.
    const value =
      plain && /^(?:true|false|-?\d+(?:\.\d+)?)$/.test(filled) ? JSON.parse(asJson(filled)) : filled;
    this.#replaced.push({ value, written: text });
    return { value };
  }

  /** A message about the filled-in file, with what was written in it in the place of what that has become. */
  asWritten(message: string): string {
    let shown = message;
    for (const { value, written } of this.#replaced) {
      const quoted = quote(value);
      if (quoted === '""') continue;
      if (typeof value === 'string') shown = shown.replaceAll(quoted, () => quote(written));
      else if (shown.startsWith(`${quoted} `)) shown = `${quote(written)}${shown.slice(quoted.length)}`;
    }
    return shown;
  }

  #lookUp(
    name: string,
    fallback: string | undefined,
  ): { readonly text: string } | { readonly fault: string } {
    if (isSecret(name)) return { fault: `\${${name}} is not allowed: it is a secret of the gateway's own` };
    const found = readVariableText(this.#environment, name);
    if ('fault' in found) return { fault: `\${${name}} is not there: ${found.name} ${found.fault}` };
    if (found.text) return { text: found.text };
    return fallback === undefined
      ? { fault: `\${${name}} is not set: set the variable, or write a default as in \${${name}:-default}` }
      : { text: fallback };
  }
}

function malformed(written: string): { readonly fault: string } {
  return {
    fault: `${written} begins no placeholder: must be \${NAME} or \${NAME:-default}, or $\${ where the text itself is meant`,
  };
}

/** JSON has no leading zeros. */
function asJson(number: string): string {
  return number.replace(/^(-?)0+(?=\d)/, '$1');
}
