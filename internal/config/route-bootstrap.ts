/** Sessions of the upstream's own, for browsers that have none (SPEC section 19). */

/** A value that JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** How a credential is made for a user without a session of the upstream's (SPEC section 19). */
export type MintRule = {
  /** The credential's member in the JSON object that is returned. */
  readonly field: string;
} & (
  | {
      readonly kind: 'command';
      /** As written; `{sub}`, and `{name}` for a field of the caller's row, as whole arguments. */
      readonly command: readonly string[];
    }
  | { readonly kind: 'url'; readonly url: string }
);

/** How browsers without a session of the upstream's own are given one (SPEC section 19). */
export interface BootstrapRule {
  /** Name of the upstream's session cookie. */
  readonly cookie: string;
  /** Path at which the upstream tells whether a cookie is valid; undefined: any cookie counts as valid. */
  readonly check: { readonly path: string; readonly field: string } | undefined;
  readonly mint: MintRule;
  readonly exchange: {
    /** At least one. */
    readonly paths: readonly string[];
    /** `{credential}` stands for the credential, in any string. */
    readonly body: JsonValue;
  };
  readonly redirect: string;
}

/** What `{credential}` stands for is not known before it is made. */
export const CREDENTIAL = '{credential}';

/** An argument that is nothing else. */
const PLACEHOLDER = /^\{([A-Za-z_][\w.-]*)\}$/;

/** Whether an argument of a command is a placeholder. */
export function isPlaceholder(argument: string): boolean {
  return PLACEHOLDER.test(argument);
}

/** The row's field that an argument stands for; undefined: it is the argument itself, or the subject. */
export function fieldInArgument(argument: string): string | undefined {
  const name = PLACEHOLDER.exec(argument)?.[1];
  return name === 'sub' ? undefined : name;
}
