/** What a file of JSON Schemas says, as plain data: it crosses to other processes. */

/** A JSON Schema as it was written: a mapping, true or false. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

/** One endpoint that exists (SPEC section 20). */
export interface SchemaEndpoint {
  /** Upper-case. */
  readonly method: string;
  /** After the prefix; `{name}` is a segment. */
  readonly path: string;
  readonly query: JsonSchema | undefined;
  readonly body: JsonSchema | undefined;
  readonly detail: boolean;
}

/** One that may be called. */
export interface SchemaMethod {
  readonly method: string;
  readonly params: JsonSchema;
}

/** A schema file, checked. */
export interface SchemaFile {
  readonly unknown: 'refuse' | 'pass';
  readonly endpoints: readonly SchemaEndpoint[];
  /** Methods of JSON-RPC over WebSocket; undefined: no such rules. */
  readonly rpc: readonly SchemaMethod[] | undefined;
}

/** Those of a route. */
export interface RouteSchemas extends SchemaFile {
  /** Absolute path of the file. */
  readonly file: string;
}
