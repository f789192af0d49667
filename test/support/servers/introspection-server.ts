import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Question {
  readonly headers: IncomingHttpHeaders;
  readonly form: URLSearchParams;
}

/** An introspection endpoint (RFC 7662) on a free port of 127.0.0.1 whose answers are the test's. */
export class IntrospectionServer {
  /** By token; what is not there is not active. */
  readonly active = new Map<string, Readonly<Record<string, unknown>>>();
  /** Answers instead: a status, a body, or a connection that is dropped. */
  broken: { readonly status: number } | { readonly body: string } | 'reset' | undefined;
  readonly questions: Question[] = [];
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      this.questions.push({ headers: request.headers, form });
      const { broken } = this;
      if (broken === 'reset') return void response.destroy();
      if (broken !== undefined && 'status' in broken) return void response.writeHead(broken.status).end('{}');
      const claims = this.active.get(form.get('token') ?? '');
      const answer = JSON.stringify(claims === undefined ? { active: false } : { active: true, ...claims });
      response.setHeader('content-type', 'application/json');
      return void response.end(broken === undefined ? answer : broken.body);
    });
  });

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/introspect`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  reset(): void {
    this.broken = undefined;
    this.active.clear();
    this.questions.length = 0;
  }
}

export async function startIntrospection(): Promise<IntrospectionServer> {
  const server = new IntrospectionServer();
  await server.listen();
  return server;
}
