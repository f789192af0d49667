import { quote } from '../../internal/config/secrets.js';
import { isUrl } from '../../internal/config/syntax.js';
import { UsageError } from './command.js';

/**
 * The URL that a flag gives, without slashes at its end. A user name and a password would go nowhere: the
 * gateway asks for neither.
 * @throws UsageError, which names the flag and repeats no password
 */
export function httpUrlOf(text: string, flag: string): string {
  if (isUrl(text, { schemes: ['http', 'https'], credentials: false })) return text.replace(/\/+$/, '');
  throw new UsageError([`${flag} ${quote(text)} is no http:// or https:// URL without credentials`]);
}
