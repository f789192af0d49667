/** An error of the admin API whose text may be shown to the caller. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal';

  /**
   * @param status HTTP status, 4xx.
   * @param code for programs; see docs/openapi.yaml.
   * @param details further members of the error object.
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}
