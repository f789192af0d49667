import { fromUnknown } from '../../internal/errors.js';
import { UsageError } from '../line/command.js';
import type { TokenWishes } from './wishes.js';

/** Has a running `ws-gateway dev` sign. @throws UsageError when there is none */
export async function fromDevGateway(url: string, wishes: TokenWishes): Promise<string> {
  const none = (why: string) =>
    new UsageError([
      `no \`ws-gateway dev\` at ${url} (${why}): start one, name it with --dev, or sign with a key of your own: --key`,
    ]);
  let answer: Response;
  try {
    answer = await fetch(`${url}/dev/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(wishes),
    });
  } catch (thrown) {
    const { cause, message } = fromUnknown(thrown);
    throw none(cause instanceof Error ? cause.message : message);
  }
  const text = await answer.text();
  if (!answer.ok || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text.trim())) throw none(`HTTP ${answer.status}`);
  return text.trim();
}
