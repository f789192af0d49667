/**
 * The id that a trusted proxy gave a session's request, for log lines; undefined: it is known by the
 * session's own, which every line has.
 */
export function givenRequestId(session: {
  readonly id: string;
  readonly requestId: string;
}): string | undefined {
  return session.requestId === session.id ? undefined : session.requestId;
}
