import type { Target } from '../../config.js';
import type { TlsFiles } from '../tls.js';

/** What an entry needs from around it. */
export interface EntryContext {
  /** Of the routes file: relative paths start there. */
  readonly directory: string;
  /** What the entries before it named in `tls`, too. */
  readonly tlsFiles: TlsFiles;
  /** Values that `${NAME}` in a fixed answer may stand for. */
  readonly respondVariables: Readonly<Record<string, string>>;
  /** Of ISSUERS_FILE; undefined: not known, none is wrong. */
  readonly issuerNames: readonly string[] | undefined;
  /** What placeholders may stand for, by name; undefined: a target with faults of its own. */
  readonly targets: ReadonlyMap<string, Target | undefined>;
  /** false: each process would claim tokens for itself, and there are several. */
  readonly claimsShared: boolean;
}

/** What is wrong with an entry. */
export interface EntryFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}
