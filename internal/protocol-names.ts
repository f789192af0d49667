/** The protocols of WebSocket clients, as routes and the labels of metrics call them. */
export const PROTOCOL_NAMES = ['mqtt', 'raw', 'stomp', 'graphql'] as const;
