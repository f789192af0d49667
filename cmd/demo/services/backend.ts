import type { IncomingMessage } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { listenLocally } from './local-server.js';

const TICK_INTERVAL_MS = 5000;

export interface Backend {
  /** ws:// URL without a path */
  readonly url: string;
  close(): Promise<void>;
}

/** Who the gateway says the caller is. */
interface Caller {
  readonly id: string;
  readonly roles: readonly string[];
}

interface Request {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: unknown;
}

/**
 * A JSON-RPC 2.0 service over WebSocket that knows nothing of tokens: it believes the X-User-* headers,
 * which only the gateway can set. `/rpc` answers, `/ticks` speaks first, `/audit` is guarded by the
 * gateway and answers like `/rpc`.
 */
export async function startBackend(): Promise<Backend> {
  const server = await listenLocally();
  const sockets = new WebSocketServer({ server: server.http });
  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    const caller = callerOf(request);
    socket.on('error', () => socket.terminate());
    if (request.url?.split('?', 1)[0] === '/ticks') tick(socket, caller);
    socket.on('message', (data, isBinary) => {
      if (!isBinary) socket.send(JSON.stringify(answer(String(data), caller)));
    });
  });
  return {
    url: `ws://${server.address}`,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      await server.close();
    },
  };
}

/** Header values are percent-encoded where they are not plain ASCII. */
function callerOf({ headers }: IncomingMessage): Caller {
  const text = (name: string): string => decodeURIComponent(String(headers[name] ?? ''));
  const roles = String(headers['x-user-roles'] ?? '');
  return { id: text('x-user-id'), roles: roles === '' ? [] : roles.split(',').map(decodeURIComponent) };
}

function tick(socket: WebSocket, caller: Caller): void {
  let number = 0;
  const send = (): void => {
    socket.send(
      JSON.stringify({ jsonrpc: '2.0', method: 'tick', params: { number: ++number, for: caller.id } }),
    );
  };
  send();
  const timer = setInterval(send, TICK_INTERVAL_MS);
  socket.on('close', () => clearInterval(timer));
}

function answer(text: string, caller: Caller): unknown {
  let request: Request | null;
  try {
    request = JSON.parse(text) as Request | null;
  } catch {
    return failure(null, -32_700, 'Parse error');
  }
  const { id = null, method, params } = request ?? {};
  switch (method) {
    case 'whoami':
      return success(id, caller);
    case 'add':
      if (!Array.isArray(params) || !params.every(Number.isFinite)) {
        return failure(id, -32_602, 'params: a list of numbers');
      }
      return success(
        id,
        params.reduce((sum: number, each: number) => sum + each, 0),
      );
    default:
      return failure(id, -32_601, 'Method not found: there are whoami and add');
  }
}

function success(id: string | number | null, result: unknown): unknown {
  return { jsonrpc: '2.0', id, result };
}

function failure(id: string | number | null, code: number, message: string): unknown {
  return { jsonrpc: '2.0', id, error: { code, message } };
}
