import type { FrameWriter } from './frame-writer.js';
import type { HandshakeKeys } from './opening.js';
import type { ReadBatch } from './read-batch.js';
import type { Sockets } from './sockets.js';

/** What all connections of a process share. */
export interface ConnectionShared {
  readonly sockets: Sockets;
  readonly writer: FrameWriter;
  readonly batch: ReadBatch;
  readonly keys: HandshakeKeys;
  /** Time for a closing handshake. */
  readonly controlTimeoutMs: number;
}
