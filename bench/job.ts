import type { Address } from './load-connection.js';

/** What a load generator is to do. */
export interface Job extends Address {
  /**
   * saturate: every connection keeps `inflight` messages under way. rate: `perSecond` messages over all
   * connections, in groups of `inflight`, however long they take. idle: connections that say nothing.
   * connect: connections that open and close.
   */
  readonly mode: 'saturate' | 'rate' | 'idle' | 'connect';
  /**
   * plain: binary messages to an echo. deflate: JSON to an echo, permessage-deflate offered. publish: MQTT
   * messages, which count when the broker has them.
   */
  readonly speech: 'plain' | 'deflate' | 'publish';
  readonly connections: number;
  readonly inflight: number;
  readonly payloadBytes: number;
  readonly perSecond: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** JSON list of tokens; connections take them in turn. undefined: they have none. */
  readonly tokenFile?: string;
  readonly firstToken: number;
  /** The processes whose CPU time counts; none: a direct connection. */
  readonly pids: readonly number[];
  /** Connections are TLS ones. */
  readonly tls?: {
    /** PEM of the authority that the server's certificate is checked against. */
    readonly certFile: string;
    /** Whether all connections but the first take up a session (RFC 8446 §2.2). */
    readonly resumes: boolean;
  };
  /** Wall clock at which measuring begins, in place of `warmupMs`; the connections must be open by then. */
  readonly startAtMs?: number;
}

/** Fields that do not apply are left out. */
export interface Outcome {
  readonly messagesPerSecond?: number;
  /** CPU time of the proxy per message that arrived, or per connection opened and closed. */
  readonly cpuMicros?: number;
  /** Share of one core that the proxy was busy. */
  readonly busy?: number;
  readonly p50Micros?: number;
  readonly p99Micros?: number;
  readonly bytesPerSession?: number;
  /** WebSocket bytes of a message as the client gets it, header included. */
  readonly wireBytes?: number;
  /** Share of the TLS connections that resumed a session. */
  readonly resumed?: number;
  /** Protocol, cipher suite and key exchange. */
  readonly tls?: string;
}
