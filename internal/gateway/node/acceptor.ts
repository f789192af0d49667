import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';
import { GatewayError } from '../../errors.js';
import { canonicalIp } from '../../request/address.js';
import { KEEP_ALIVE_DELAY_MS } from '../../upstream/socket/socket.js';
import type { TcpAddress, TcpBinding, TcpHandle } from '../../upstream/socket/tcp-binding.js';
import { systemError } from '../../upstream/socket/tcp-connect.js';

/**
 * Connections that may wait for the process to accept them, such as all clients after a restart. The kernel's
 * own limit (net.core.somaxconn) holds too.
 */
const BACKLOG = 4096;

/** An accepted connection: a TCP handle of Node's, or a stream where there are no handles. */
export type Accepted = TcpHandle | Socket;

export function isHandle(accepted: Accepted): accepted is TcpHandle {
  return 'getpeername' in accepted;
}

/** Closes a connection at once, without an answer. */
export function discard(accepted: Accepted): void {
  if (isHandle(accepted)) accepted.close(() => {});
  else accepted.destroy();
}

/** Hears of connections. */
export type OnAccepted = (accepted: Accepted) => void;

/** Of the variables that an address comes from. */
export type Prefix = '' | 'ADMIN_';

/** What listens on an address. */
export interface Acceptor {
  /**
   * @param prefix of the variables HOST and PORT that the address comes from.
   * @returns the port.
   * @throws GatewayError ERR_LISTEN
   */
  listen(host: string, port: number, prefix?: Prefix): Promise<number>;
  /** Takes no more connections. */
  close(): void;
}

export function createAcceptor(binding: TcpBinding | null, onAccepted: OnAccepted): Acceptor {
  return binding === null ? new StreamAcceptor(onAccepted) : new HandleAcceptor(binding, onAccepted);
}

/** The peer's address in canonical form; undefined: it has gone already. */
export function peerOf(accepted: Accepted): string | undefined {
  const address = isHandle(accepted) ? nameOfPeer(accepted) : accepted.remoteAddress;
  return address === undefined ? undefined : (canonicalIp(address) ?? address);
}

function nameOfPeer(handle: TcpHandle): string | undefined {
  const name: TcpAddress = {};
  return handle.getpeername(name) === 0 ? name.address : undefined;
}

class HandleAcceptor implements Acceptor {
  #handle: TcpHandle | undefined;

  constructor(
    readonly binding: TcpBinding,
    readonly onAccepted: OnAccepted,
  ) {}

  async listen(host: string, port: number, prefix: Prefix = ''): Promise<number> {
    const address = isIP(host) === 0 ? await addressOf(host, prefix) : host;
    const handle = new this.binding.TCP(this.binding.constants.SERVER);
    const status = bind(handle, address, port) || handle.listen(BACKLOG);
    if (status !== 0) {
      handle.close(() => {});
      throw cannotListen(host, port, prefix, systemError('listen', status));
    }
    // Accepted connections inherit both.
    handle.setNoDelay(true);
    handle.setKeepAlive(true, KEEP_ALIVE_DELAY_MS / 1000);
    handle.onconnection = (failure, accepted) => {
      // Out of descriptors: the system has closed the connection, and goes on when there are some.
      if (failure === 0 && accepted !== undefined) this.onAccepted(accepted);
    };
    this.#handle = handle;
    const name: TcpAddress = {};
    handle.getsockname(name);
    return name.port ?? port;
  }

  close(): void {
    this.#handle?.close(() => {});
    this.#handle = undefined;
  }
}

function bind(handle: TcpHandle, address: string, port: number): number {
  return isIP(address) === 6 ? handle.bind6(address, port, 0) : handle.bind(address, port);
}

class StreamAcceptor implements Acceptor {
  readonly #server: Server;

  constructor(onAccepted: OnAccepted) {
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onAccepted);
  }

  listen(host: string, port: number, prefix: Prefix = ''): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(cannotListen(host, port, prefix, error)));
      server.listen({ host, port, backlog: BACKLOG, exclusive: true }, () => {
        server.removeAllListeners('error').on('error', () => {});
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  close(): void {
    this.#server.close();
  }
}

async function addressOf(host: string, prefix: Prefix): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (thrown) {
    throw new GatewayError('ERR_LISTEN', `${prefix}HOST: ${host} has no address`, { cause: thrown });
  }
}

function cannotListen(
  host: string,
  port: number,
  prefix: Prefix,
  error: NodeJS.ErrnoException,
): GatewayError {
  const why =
    error.code === 'EADDRINUSE'
      ? 'the port is in use'
      : error.code === 'EACCES'
        ? 'this user may not bind that port'
        : (error.code ?? error.message);
  const message = `${prefix}HOST, ${prefix}PORT: cannot listen on ${host}:${port}: ${why}`;
  return new GatewayError('ERR_LISTEN', message, { cause: error });
}
