/** Of a dial that its endpoint had no turn for, or whose circuit opened while it waited. */
export class NoTurn extends Error {}

/** The other side ended a connection. */
export class ConnectionLost extends Error {}
