import { adminToken } from '../../internal/config/environment/surroundings.js';
import { fromUnknown } from '../../internal/errors.js';
import { UsageError } from '../line/command.js';
import { httpUrlOf } from '../line/http-url.js';

/** Where the admin API is, unless said otherwise. */
export const DEFAULT_ADMIN_URL = 'http://127.0.0.1:8080';

const TIMEOUT_MS = 10_000;

/** The admin API and the metrics of a running gateway. */
export class AdminClient {
  readonly url: string;
  readonly #headers: Record<string, string> = {};

  /**
   * @param flag that gave the URL.
   * @throws UsageError when the URL is none, or ADMIN_TOKEN or its file is no good
   */
  constructor(url: string, flag: string) {
    this.url = httpUrlOf(url, flag);
    const token = adminToken();
    if ('fault' in token) throw new UsageError([`${token.name}: ${token.fault}`]);
    if (token.text !== undefined && token.text !== '') this.#headers.Authorization = `Bearer ${token.text}`;
  }

  async json<T>(path: string): Promise<T> {
    return JSON.parse(await this.text(path)) as T;
  }

  /** @throws Error in words for an operator */
  async text(path: string): Promise<string> {
    let answer: Response;
    try {
      answer = await fetch(this.url + path, {
        headers: this.#headers,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (thrown) {
      const { cause, message } = fromUnknown(thrown);
      throw new Error(`no gateway at ${this.url}: ${cause instanceof Error ? cause.message : message}`);
    }
    if (answer.status === 401) throw new Error(`${this.url} wants another ADMIN_TOKEN`);
    if (answer.status === 403)
      throw new Error(`${this.url} serves the admin API to loopback only: set ADMIN_TOKEN`);
    if (!answer.ok) throw new Error(`${this.url}${path}: HTTP ${answer.status}`);
    return await answer.text();
  }
}
