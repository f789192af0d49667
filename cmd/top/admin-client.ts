import { adminToken } from '../../internal/config/environment/surroundings.js';
import { fromUnknown } from '../../internal/errors.js';
import { UsageError } from '../line/command.js';

/** Where the admin API is, unless said otherwise. */
export const DEFAULT_ADMIN_URL = 'http://127.0.0.1:8080';

const TIMEOUT_MS = 10_000;

/** The admin API and the metrics of a running gateway. */
export class AdminClient {
  readonly url: string;
  readonly #headers: Record<string, string> = {};

  /** @throws UsageError when the URL is none, or the file of ADMIN_TOKEN_FILE cannot be read */
  constructor(url: string) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new UsageError([`${JSON.stringify(url)} is no http:// or https:// URL`]);
    this.url = url.replace(/\/+$/, '');
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
