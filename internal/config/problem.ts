/** One thing wrong with the configuration, for the operator's terminal. Never holds the value of a secret. */
export interface Problem {
  /** A variable, a file, or a place in the routes file: `/etc/ws-gw/routes.yaml:12: tls.caFile`. */
  readonly name: string;
  /** The offending value and what is allowed. */
  readonly message: string;
}

/** A problem as one line. */
export function problemLine({ name, message }: Problem): string {
  return `${name}: ${message}`.replaceAll(/\s*[\r\n]+\s*/g, ' ');
}
