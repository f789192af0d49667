import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Issuer } from './issuer.js';
import { listenLocally } from './local-server.js';
import { PEOPLE, SECRET } from './people.js';

export interface WebBackend {
  /** http:// URL without a path */
  readonly url: string;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/**
 * HTTP services that know nothing of tokens but for the login, which fetches one from the issuer and sets it
 * as a cookie: `/login`, `/public`, `/me`, `/items`.
 */
export async function startWebBackend(issuer: Issuer): Promise<WebBackend> {
  const server = await listenLocally();
  server.http.on('request', (request, response) => void serve(request, response, issuer));
  return { url: `http://${server.address}`, close: () => server.close() };
}

async function serve(request: IncomingMessage, response: ServerResponse, issuer: Issuer): Promise<void> {
  const send = ({ status, headers, body }: Answer): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
  try {
    send(await answer(request, issuer));
  } catch {
    // What is no JSON, or a client that went away in the middle of it.
    if (request.complete) send({ status: 400, body: { message: 'not understood' } });
    else response.destroy();
  }
}

async function answer(request: IncomingMessage, issuer: Issuer): Promise<Answer> {
  const body = await text(request);
  const { 'x-user-id': id, 'x-user-roles': roles } = request.headers;
  switch (`${request.method} ${request.url}`) {
    case 'POST /login':
      return await login(JSON.parse(body) as { user: string; password: string }, issuer);
    case 'GET /public':
      return { status: 200, body: { message: 'open to everybody' } };
    case 'GET /me':
      return { status: 200, body: { id, roles } };
    case 'POST /items':
      return { status: 201, body: { ...(JSON.parse(body) as object), owner: id } };
    default:
      return { status: 404, body: { message: 'not here' } };
  }
}

async function login(
  { user, password }: { readonly user: string; readonly password: string },
  issuer: Issuer,
): Promise<Answer> {
  const person = PEOPLE.find(({ name }) => name === user);
  if (person === undefined || password !== SECRET)
    return { status: 401, body: { message: 'wrong user or password' } };
  const cookie = `session=${await issuer.token(person)}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax`;
  return { status: 200, headers: { 'set-cookie': cookie }, body: { message: `welcome, ${user}` } };
}
