/** Sessions of the upstream's own, for browsers that have none (SPEC section 19). */

/** A value that JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** How a credential is made for somebody whom the upstream does not know yet (SPEC section 19). */
export type MintRule = {
  /** Where it stands in the JSON object that comes back. */
  readonly field: string;
} & (
  | {
      readonly kind: 'command';
      /** As written; `{sub}`, and `{name}` for a field of the caller's row, as whole arguments. */
      readonly command: readonly string[];
    }
  | { readonly kind: 'url'; readonly url: string }
);

/** How browsers that come for the first time are given a session of the upstream's own (SPEC section 19). */
export interface BootstrapRule {
  /** Of the upstream's session. */
  readonly cookie: string;
  /** Where the upstream tells what a cookie is worth; undefined: one that is there is good. */
  readonly check: { readonly path: string; readonly field: string } | undefined;
  readonly mint: MintRule;
  readonly exchange: {
    /** At least one. */
    readonly paths: readonly string[];
    /** `{credential}` stands for what was made, in any text. */
    readonly body: JsonValue;
  };
  readonly redirect: string;
}

/** What `{credential}` stands for is not known before it is made. */
export const CREDENTIAL = '{credential}';

/** An argument that is nothing else. */
const PLACEHOLDER = /^\{([A-Za-z_][\w.-]*)\}$/;

/** Whether an argument of a command stands for something else. */
export function isPlaceholder(argument: string): boolean {
  return PLACEHOLDER.test(argument);
}

/** The field of a row that an argument stands for; undefined: it stands for itself, or for the subject. */
export function fieldInArgument(argument: string): string | undefined {
  const name = PLACEHOLDER.exec(argument)?.[1];
  return name === 'sub' ? undefined : name;
}
