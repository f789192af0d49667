/** A dial that got no turn at its endpoint in time, or whose circuit opened while it waited. */
export class NoTurn extends Error {}

/** The upstream ended the connection. */
export class ConnectionLost extends Error {}
