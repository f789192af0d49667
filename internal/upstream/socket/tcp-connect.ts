import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { BY_SYSTEM, type Resolve } from './admitted-lookup.js';
import type { ConnectRequest, TcpBinding, TcpHandle } from './tcp-binding.js';

/** Of several addresses, the next one is tried when one has not answered for this long. */
const NEXT_ADDRESS_MS = 250;

/** One of these is called, once, and never from within `begin`. */
export interface TcpConnectListener {
  /** The handle is the listener's from now on; it reads. */
  tcpConnected(handle: TcpHandle): void;
  tcpFailed(error: Error): void;
}

/** An attempt to connect to a host: to each of its addresses in turn, in the system resolver's order. */
export class TcpConnect {
  #addresses: readonly LookupAddress[] = [];
  #next = 0;
  /** The address that is being tried. */
  #handle: TcpHandle | undefined;
  #timer: NodeJS.Timeout | undefined;
  #done: boolean = false;

  constructor(
    readonly binding: TcpBinding,
    readonly host: string,
    readonly port: number,
    readonly listener: TcpConnectListener,
    readonly resolve: Resolve = BY_SYSTEM,
  ) {}

  begin(): void {
    const family = isIP(this.host);
    if (family !== 0) return this.#try([{ address: this.host, family }]);
    this.resolve(this.host, (error, addresses) => {
      if (this.#done) return;
      if (error === null) this.#try(addresses);
      else this.#fail(error);
    });
  }

  /** Cancels it; the listener is not called any more. */
  cancel(): void {
    this.#done = true;
    this.#giveUp();
  }

  #try(addresses: readonly LookupAddress[]): void {
    this.#addresses = addresses;
    this.#tryNext();
  }

  #tryNext(): void {
    this.#giveUp();
    const next = this.#addresses[this.#next++];
    if (next === undefined) return this.#fail(new Error(`${this.host} has no address`));
    const { TCP, TCPConnectWrap, constants } = this.binding;
    const handle = new TCP(constants.SOCKET);
    const request = new TCPConnectWrap();
    request.oncomplete = (status) => {
      if (this.#handle === handle) this.#completed(handle, status, next.address);
    };
    this.#handle = handle;
    // It reads from now on, though nothing comes before it is connected: then it would cost a system call.
    const status = connect(handle, request, next, this.port) || handle.readStart();
    if (status !== 0) setImmediate(() => request.oncomplete(status));
    else if (this.#next < this.#addresses.length) {
      this.#timer = setTimeout(() => this.#tryNext(), NEXT_ADDRESS_MS);
    }
  }

  #completed(handle: TcpHandle, status: number, address: string): void {
    if (status !== 0) {
      if (this.#next < this.#addresses.length) this.#tryNext();
      else this.#fail(systemError('connect', status, `${address}:${this.port}`));
      return;
    }
    this.#done = true;
    this.#handle = undefined;
    this.#giveUp();
    this.listener.tcpConnected(handle);
  }

  #fail(error: Error): void {
    this.cancel();
    this.listener.tcpFailed(error);
  }

  #giveUp(): void {
    clearTimeout(this.#timer);
    this.#handle?.close(() => {});
    this.#handle = undefined;
  }
}

function connect(
  handle: TcpHandle,
  request: ConnectRequest,
  { address, family }: LookupAddress,
  port: number,
): number {
  return family === 6 ? handle.connect6(request, address, port) : handle.connect(request, address, port);
}

/** An error as `net.Socket` has it. @param status negative, of a `TcpHandle`. */
export function systemError(syscall: string, status: number, where?: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  const error = new Error(`${syscall} ${code}${where === undefined ? '' : ` ${where}`}`);
  return Object.assign(error, { code, errno: status, syscall });
}
