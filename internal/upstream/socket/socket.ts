import type { SecureContext } from 'node:tls';

/** Idle TCP connections are probed after this long: a host that vanished is noticed with pings off too. */
export const KEEP_ALIVE_DELAY_MS = 60_000;

/** Memory that Node keeps for a write that waits, beside its bytes; a safe estimate. */
export const WRITE_COST_BYTES = 1100;

/** Hears the events of a socket: the opening handshake first, then the open connection. */
export interface SocketOwner {
  /** TCP, and TLS with its checks, is established. */
  socketReady?(): void;
  /** `length` bytes are in the read buffer. @returns whether to go on reading. */
  socketRead(length: number): boolean;
  /** All that waited has left the process. */
  socketDrained?(): void;
  /** The peer will send no more. */
  socketEnded(): void;
  socketFailed(error: Error): void;
  /** The descriptor is closed; no event follows. */
  socketClosed(): void;
}

/** A TCP or TLS connection. Its owner is never called from within one of its methods. */
export interface UpstreamSocket {
  /** Hears its events from now on. */
  owner: SocketOwner;
  /** Whether it can still be written to. */
  readonly writable: boolean;
  /** Bytes written and not yet taken by the kernel. */
  readonly writableLength: number;
  /** Writes that the kernel has not taken whole. */
  readonly waitingWrites: number;
  /** Bytes written, those that wait included. */
  readonly bytesWritten: number;
  /** Whether the peer has reset it, which is not reported while reading is paused. */
  readonly isReset: boolean;
  /** `bytes` stay untouched until `writableLength` is 0. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** Ends our side after what waits. */
  end(): void;
  /**
   * Closes both directions properly: all has been written, and what the peer may still send is not wanted.
   */
  close(): void;
  /** Drops the connection; of its owner's methods only `socketClosed` is still called. */
  destroy(): void;
}

/** The address and TLS settings of a connection. */
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
