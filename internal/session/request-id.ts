/**
 * The request id that a trusted proxy sent, for log lines; undefined: it is the session's own id, which every
 * line has.
 */
export function givenRequestId(session: {
  readonly id: string;
  readonly requestId: string;
}): string | undefined {
  return session.requestId === session.id ? undefined : session.requestId;
}
