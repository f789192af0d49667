import type { errors } from 'jose';
import type { IssuerConfig } from '../config/config.js';
import { forLog } from '../telemetry/log/log.js';

/**
 * What is wrong with a claim, what it says, and what it should. For the log alone; the signature holds by
 * then, so that these are the issuer's words and not just anybody's.
 */
export function claimProblem(
  { message, claim, payload }: errors.JWTClaimValidationFailed | errors.JWTExpired,
  { issuer, audiences }: Pick<IssuerConfig, 'issuer' | 'audiences'>,
  nowMs: number,
): string {
  const value = payload[claim];
  if (claim === 'iss' && issuer !== undefined) return compared(message, value, issuer);
  if (claim === 'aud') return compared(message, value, audiences);
  if (typeof value !== 'number') return message;
  const agoSeconds = Math.round(nowMs / 1000 - value);
  if (claim === 'exp' && agoSeconds >= 0) return `${message}: it ended ${agoSeconds} s ago`;
  if (claim === 'nbf' && agoSeconds <= 0) return `${message}: it begins in ${-agoSeconds} s`;
  return message;
}

function compared(message: string, value: unknown, wanted: unknown): string {
  const found = value === undefined ? '' : `: ${quoted(listed(value))}`;
  return `${message}${found}, wanted: ${quoted(listed(wanted))}`;
}

function listed(value: unknown): unknown {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string').join(', ') : value;
}

/** A value of a token for the log: bounded, control characters escaped. */
export function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(forLog(value)) : 'of a wrong type';
}
