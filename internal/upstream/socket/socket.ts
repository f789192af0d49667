import type { SecureContext } from 'node:tls';

/** Idle TCP connections are probed after this long: a host that vanished is noticed with pings off too. */
export const KEEP_ALIVE_DELAY_MS = 60_000;

/**
 * What Node keeps for a write that waits: its request, a view, and memory of its own: an
 * estimate, on the safe side.
 */
export const WRITE_COST_BYTES = 1100;

/** Who hears a socket: the opening handshake first, the open connection after it. */
export interface SocketOwner {
  /** TCP, and TLS with its checks, is established. */
  socketReady?(): void;
  /** `length` bytes are in the read buffer. @returns whether to go on reading. */
  socketRead(length: number): boolean;
  /** What had to wait has left the process. */
  socketDrained?(): void;
  /** The peer will send no more. */
  socketEnded(): void;
  socketFailed(error: Error): void;
  /** The descriptor is free; nothing comes after it. */
  socketClosed(): void;
}

/** A connection to an upstream, below RFC 6455. Its owner is never called from within a method of it. */
export interface UpstreamSocket {
  /** Whoever is to hear it from now on. */
  owner: SocketOwner;
  /** Whether what is written goes anywhere. */
  readonly writable: boolean;
  /** Bytes written and not yet taken by the kernel. */
  readonly writableLength: number;
  /** Writes that the kernel has not taken whole. */
  readonly waitingWrites: number;
  /** Bytes written, those that wait included. */
  readonly bytesWritten: number;
  /** Whether the peer has reset it: whoever does not read has to ask. */
  readonly isReset: boolean;
  /** `bytes` stay untouched until `writableLength` is 0. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** Nothing more is written: the peer is told so behind what waits. */
  end(): void;
  /** Ends both ways in good order: all has been written, and what the peer may still say is not wanted. */
  close(): void;
  /** Drops the connection; of its owner's methods only `socketClosed` is still called. */
  destroy(): void;
}

/** Where a connection goes, and by what it is secured. */
export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  /** Whether an address that the host's name leads to may be dialled; undefined: any. */
  readonly admits?: ((address: string) => boolean) | undefined;
  /** undefined: plain TCP. */
  readonly tls:
    | {
        readonly context: SecureContext;
        /** Name for SNI and for the certificate check; undefined: the host. */
        readonly serverName: string | undefined;
        readonly verify: boolean;
      }
    | undefined;
}
