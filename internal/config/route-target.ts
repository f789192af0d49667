/** Upstreams that depend on who is calling (SPEC section 19). */

/** One entry of a target's `allow` (SPEC section 19). */
export type AllowRule = (
  | {
      readonly kind: 'name';
      /** Lower-case labels; `*` stands for exactly one. */
      readonly labels: readonly string[];
    }
  | { readonly kind: 'network'; readonly address: string; readonly bits: number; readonly family: 4 | 6 }
) & {
  /** undefined: every port. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
};

/** How a claim is encrypted: RSA, in base64. */
export interface TargetDecryption {
  /** PEM, already read. */
  readonly privateKey: string;
  readonly padding: 'pkcs1' | 'oaep' | 'oaep-sha256';
}

interface TargetEntry {
  readonly name: string;
  /** At least one. */
  readonly allow: readonly AllowRule[];
}

/** A host or port that depends on the caller (SPEC section 19). */
export type Target =
  | (TargetEntry & {
      readonly kind: 'claim';
      /** Its name or path. */
      readonly claim: string;
      /** undefined: plain. */
      readonly decrypt: TargetDecryption | undefined;
    })
  | TableTarget;

/** From a table in a JSON file, by a claim. */
export interface TableTarget extends TargetEntry {
  readonly kind: 'table';
  /** Absolute path. */
  readonly file: string;
  /** The claim, or the path to it, that selects a row. */
  readonly key: string;
  /** Of a row. */
  readonly field: string;
}

/** An upstream URL whose host, port or both depend on the caller. */
export interface TargetedUpstream {
  /** As written, without its query. */
  readonly name: string;
  /** With its colon. */
  readonly scheme: string;
  readonly host: string | Target;
  /** '': the scheme's own. */
  readonly port: string | Target;
  /** Path and query. */
  readonly path: string;
}
