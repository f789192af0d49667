import type { Agent } from 'node:http';
import type { IntrospectionConfig, VerificationConfig } from '../../config/config.js';
import { fromUnknown, GatewayError } from '../../errors.js';
import { OutboundHttp } from '../../outbound/http.js';
import type { Log } from '../../telemetry/log/log.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import { isJsonObject, type JsonObject, own } from '../identity/claims.js';
import { clientProof } from './client-authentication.js';

/** Time for an answer, the wait for one of the connections included. */
export const TIMEOUT_MS = 5_000;
/** Kept-alive connections to the endpoint; when many clients come at once, they wait for their turn. */
const MAX_CONNECTIONS = 64;
/** Largest answer, in bytes; enough for thousands of roles. */
const LIMIT_BYTES = 262_144;

/** The introspection endpoint of the provider (RFC 7662). */
export class IntrospectionEndpoint {
  readonly #url: URL;
  readonly #name: string;
  readonly #audience: string;
  readonly #http: OutboundHttp;
  readonly #agent: Agent;
  #up: boolean | undefined;

  constructor(
    readonly config: IntrospectionConfig,
    { issuer, proxies }: Pick<VerificationConfig, 'issuer' | 'proxies'>,
    readonly log: Log,
    readonly metrics: Pick<Metrics, 'process'>,
  ) {
    this.#url = new URL(config.url);
    this.#name = `${this.#url.origin}${this.#url.pathname}`;
    this.#audience = issuer ?? config.url;
    this.#http = new OutboundHttp(proxies);
    this.#agent = this.#http.agent(this.#url, true);
    this.#agent.maxSockets = MAX_CONNECTIONS;
  }

  /**
   * Introspects a token.
   * @returns its claims; undefined: it is not active, for which providers give no reason.
   * @throws GatewayError ERR_INTROSPECTION_UNAVAILABLE, by rejecting: on any other answer, or none.
   */
  async ask(token: string): Promise<JsonObject | undefined> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const answer = await this.#answerTo(token, signal).catch((thrown: unknown) => {
        // The provider has just closed a kept-alive connection: it has not seen the request, which can be
        // repeated safely.
        if (!signal.aborted && isReset(thrown)) return this.#answerTo(token, signal);
        throw thrown;
      });
      this.#report(undefined);
      return answer;
    } catch (cause) {
      const why = signal.aborted ? `no answer within ${TIMEOUT_MS} ms` : fromUnknown(cause).message;
      this.#report(why);
      throw new GatewayError('ERR_INTROSPECTION_UNAVAILABLE', `${this.#name}: ${why}`, { cause });
    }
  }

  async #answerTo(token: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    const { headers, parameters } = await clientProof(this.config, this.#audience);
    // RFC 7662 §2.1
    const form = new URLSearchParams({ token, token_type_hint: 'access_token', ...parameters });
    const { status, body } = await this.#http.request(this.#url, {
      method: 'POST',
      headers: {
        ...headers,
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: form.toString(),
      agent: this.#agent,
      signal,
      limitBytes: LIMIT_BYTES,
    });
    if (status !== 200) throw new Error(`answered ${status}`);
    const answer = parsed(body);
    const active = answer && own(answer, 'active');
    // §2.2: the one required member, and it decides.
    if (typeof active !== 'boolean') throw new Error('answered no JSON object with the member active');
    return active ? answer : undefined;
  }

  /** Logs once that the endpoint fails, and once that it answers again. */
  #report(problem: string | undefined): void {
    const up = problem === undefined;
    if (this.#up === up) return;
    if (!up) this.log.warn({ reason: problem }, 'introspection endpoint does not answer');
    else if (this.#up === false) this.log.info('introspection endpoint answers again');
    this.#up = up;
    this.metrics.process.dependencyUp.set({ dependency: 'introspection' }, up ? 1 : 0);
  }

  stop(): void {
    this.#agent.destroy();
  }
}

function isReset(thrown: unknown): boolean {
  return (
    thrown instanceof Error && 'code' in thrown && (thrown.code === 'ECONNRESET' || thrown.code === 'EPIPE')
  );
}

/** undefined: no JSON object. What cannot be parsed may quote the claims: dropped. */
function parsed(body: Buffer): JsonObject | undefined {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'));
    return isJsonObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
