import { type Agent, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { request as secureRequest, Agent as TlsAgent } from 'node:https';
import { createRequire } from 'node:module';
import { type ProxySettings, proxyFor } from './proxy.js';

// Loaded where a proxy is set: a megabyte of each process, and most have none.
const load = createRequire(import.meta.url);

export interface OutboundRequest {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** One that its owner keeps; else the request has one of its own. */
  readonly agent?: Agent;
  /** Ends the request, whatever state it is in. */
  readonly signal: AbortSignal;
  /** Longest body that is read. */
  readonly limitBytes: number;
}

export interface OutboundAnswer {
  readonly status: number;
  /** Empty unless the status is 200: no other is read. */
  readonly body: Buffer;
}

/**
 * HTTP that the gateway asks for itself (keys, discovery, traces): through the proxy that is set for the
 * address, if any. Redirects are not followed, and nothing is asked twice.
 */
export class OutboundHttp {
  readonly #proxies: ProxySettings;

  constructor(proxies: ProxySettings) {
    this.#proxies = proxies;
  }

  /** What makes the connections to an address; its owner destroys it. */
  agent(url: URL, keepAlive: boolean): Agent {
    const proxy = proxyFor(url, this.#proxies);
    const secure = url.protocol === 'https:';
    if (proxy === undefined) return secure ? new TlsAgent({ keepAlive }) : new PlainAgent({ keepAlive });
    if (!secure) {
      const { HttpProxyAgent } = load('http-proxy-agent') as typeof import('http-proxy-agent');
      return new HttpProxyAgent(proxy, { keepAlive });
    }
    const { HttpsProxyAgent } = load('https-proxy-agent') as typeof import('https-proxy-agent');
    return new HttpsProxyAgent(proxy, { keepAlive });
  }

  /**
   * Asks once. A user name and password in the URL are sent as Basic credentials.
   * @throws Error whatever the connection, the signal or the limit says.
   */
  async request(
    url: URL,
    { method = 'GET', headers, body, agent: kept, signal, limitBytes }: OutboundRequest,
  ): Promise<OutboundAnswer> {
    const agent = kept ?? this.agent(url, false);
    try {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const send = url.protocol === 'https:' ? secureRequest : plainRequest;
        send(url, { method, agent, signal, headers: { ...headers } }, resolve)
          .on('error', reject)
          .end(body);
      });
      const status = answer.statusCode ?? 0;
      if (status !== 200) {
        answer.destroy();
        return { status, body: Buffer.alloc(0) };
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        bytes += chunk.byteLength;
        if (bytes > limitBytes) throw new Error(`answered more than ${limitBytes} bytes`);
        chunks.push(chunk);
      }
      return { status, body: Buffer.concat(chunks) };
    } finally {
      if (kept === undefined) agent.destroy();
    }
  }
}
