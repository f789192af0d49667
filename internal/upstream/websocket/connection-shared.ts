import type { Sockets } from '../socket/sockets.js';
import type { FrameWriter } from './frame-writer.js';
import type { HandshakeKeys } from './opening-request.js';
import type { ReadBatch } from './read-batch.js';

/** What all connections of a process share. */
export interface ConnectionShared {
  readonly sockets: Sockets;
  readonly writer: FrameWriter;
  readonly batch: ReadBatch;
  readonly keys: HandshakeKeys;
  /** Time for a closing handshake. */
  readonly controlTimeoutMs: number;
}
