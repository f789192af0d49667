/**
 * Node's own TCP handles, on which `net.Socket` is built. A stream in between costs a microsecond a message
 * and two kilobytes a connection (docs/benchmarks.md). They are no documented interface: `tcpBinding` checks
 * that they are as described here, and otherwise `net.Socket` serves.
 */
export interface TcpBinding {
  readonly TCP: new (type: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => object;
  readonly constants: { readonly SOCKET: number; readonly SERVER: number };
  /** Results of the latest call or read, at the indices below. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kArrayBufferOffset: number;
  readonly kLastWriteWasAsync: number;
}

export interface TcpAddress {
  address?: string;
  port?: number;
}

/** Methods return 0, or a negative error number: see `systemError`. */
export interface TcpHandle {
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  listen(backlog: number): number;
  /** Of a listening handle: called with 0 and a connection, or with a negative error number. */
  onconnection: ((this: TcpHandle, status: number, handle: TcpHandle | undefined) => void) | undefined;
  getsockname(out: TcpAddress): number;
  getpeername(out: TcpAddress): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delaySeconds: number): number;
  /** Reads go there, one after the other. */
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  /** Writes what the kernel takes at once; the rest later, out of the same memory. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  shutdown(request: object): number;
  close(onClosed: (this: TcpHandle) => void): void;
  /** Without a user buffer each read allocates. Never undefined: Node.js would crash. */
  onread: (this: TcpHandle, memory: ArrayBuffer | undefined) => void;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
}

export interface ConnectRequest {
  oncomplete: (this: ConnectRequest, status: number) => void;
}

export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Kept while it is written. */
  buffer?: Uint8Array;
}

const TCP_METHODS = [
  'connect',
  'connect6',
  'bind',
  'bind6',
  'listen',
  'getsockname',
  'getpeername',
  'setNoDelay',
  'setKeepAlive',
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeBuffer',
  'shutdown',
  'close',
] as const satisfies readonly (keyof TcpHandle)[];

/** @returns null if this version of Node.js does not have them in this form. */
export function tcpBinding(): TcpBinding | null {
  try {
    const binding = { ...nodeBinding('tcp_wrap'), ...nodeBinding('stream_wrap') } as Partial<TcpBinding>;
    const { TCP, TCPConnectWrap, WriteWrap, ShutdownWrap, constants, streamBaseState } = binding;
    const handle = TCP === undefined || constants === undefined ? undefined : new TCP(constants.SOCKET);
    if (handle === undefined) return null;
    const complete =
      TCP_METHODS.every((method) => typeof handle[method] === 'function') &&
      typeof handle.writeQueueSize === 'number' &&
      [TCPConnectWrap, WriteWrap, ShutdownWrap].every((request) => typeof request === 'function') &&
      [binding.kReadBytesOrError, binding.kArrayBufferOffset, binding.kLastWriteWasAsync].every(
        (place) => typeof streamBaseState?.[place ?? -1] === 'number',
      );
    handle.close(() => {});
    return complete ? (binding as TcpBinding) : null;
  } catch {
    // Node's permission model forbids it.
    return null;
  }
}

/** What carries TCP in this process, for operators: Node's handles, or `net.Socket` where there are none. */
export function socketKind(binding: TcpBinding | null): 'handles' | 'streams' {
  return binding === null ? 'streams' : 'handles';
}

function nodeBinding(name: string): object {
  return (process as unknown as { binding(name: string): object }).binding(name);
}
