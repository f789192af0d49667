import { decodeToken } from '../../internal/auth/identity/jwt-shape.js';
import { UsageError } from '../line/command.js';
import { printable, relativeTime } from '../line/words.js';

const TIMES = ['iat', 'nbf', 'exp', 'auth_time'];

/** What a token says, nothing of it verified. @throws UsageError when it is no JWT */
export function inspection(token: string, asJson: boolean): string {
  const decoded = decodeToken(token);
  if (decoded === undefined)
    throw new UsageError(['not a JWT: three base64url parts, of which the first two are JSON objects']);
  const { header, claims } = decoded;
  if (asJson) return `${JSON.stringify({ header, claims }, undefined, 2)}\n`;
  const rows = (part: Readonly<Record<string, unknown>>) =>
    Object.entries(part).map(([name, value]) => {
      const time = TIMES.includes(name) && typeof value === 'number' ? timeOf(value) : '';
      return `  ${printable(name).padEnd(20)}${printable(JSON.stringify(value))}${time}`;
    });
  const { exp } = claims;
  const end =
    typeof exp !== 'number'
      ? 'no exp: the gateway refuses it'
      : exp * 1000 < Date.now()
        ? 'EXPIRED'
        : 'not expired; the signature was not looked at';
  return `${['header', ...rows(header), 'claims', ...rows(claims), end].join('\n')}\n`;
}

function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? '' : `  ${date.toISOString()}${relativeTime(seconds * 1000)}`;
}
