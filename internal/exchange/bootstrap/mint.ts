import { claimsAt } from '../../auth/identity/claim-paths.js';
import { isJsonObject, type JsonObject } from '../../auth/identity/claims.js';
import type { MintRule } from '../../config/config.js';
import { fieldInArgument } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import type { OutboundHttp } from '../../outbound/http.js';
import { forLog } from '../../telemetry/log/log.js';
import { outputOf } from './command.js';

/** SPEC section 19. */
const MINT_MS = 10_000;
const MAX_OUTPUT_BYTES = 65_536;

/** What every mint of a process needs. */
export interface MintParts {
  /** The environment of a command. */
  readonly env: Readonly<Record<string, string>>;
  readonly outbound: Pick<OutboundHttp, 'request'>;
}

/** Whom the credential is for. */
export interface MintSubject {
  readonly sub: string;
  /** A field of the subject's table row. */
  readonly field: (name: string) => string | undefined;
  /** Aborted when the credential is no longer wanted. */
  readonly signal: AbortSignal;
}

/**
 * A credential for a subject, made by a command or by a service.
 * @throws GatewayError ERR_BOOTSTRAP_MINT.
 */
export async function mintCredential(
  { env, outbound }: MintParts,
  rule: MintRule,
  subject: MintSubject,
): Promise<string> {
  const { signal } = subject;
  try {
    const output =
      rule.kind === 'command'
        ? await outputOf(argumentsFor(rule.command, subject), {
            ...{ env, signal },
            withinMs: MINT_MS,
            limitBytes: MAX_OUTPUT_BYTES,
          })
        : await answerOf(outbound, rule.url, subject);
    return credentialIn(output, rule.field);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError('ERR_BOOTSTRAP_MINT', `the mint failed: ${String(cause)}`, { cause });
  }
}

async function answerOf(
  outbound: MintParts['outbound'],
  url: string,
  { sub, signal }: MintSubject,
): Promise<Buffer> {
  const { status, body } = await outbound.request(new URL(url), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify({ sub }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(MINT_MS)]),
    limitBytes: MAX_OUTPUT_BYTES,
  });
  if (status !== 200) throw new Error(`it answered ${status}`);
  return body;
}

/** The command with its placeholders filled in. */
function argumentsFor(command: readonly string[], { sub, field }: MintSubject): readonly string[] {
  const optionsEnd = command.indexOf('--');
  return command.map((argument, index) => {
    const name = fieldInArgument(argument);
    if (name === undefined && argument !== '{sub}') return argument;
    const value = name === undefined ? sub : field(name);
    if (value === undefined) throw new Error(`the row of ${JSON.stringify(forLog(sub))} has no ${argument}`);
    // A value such as `--help` must not be taken for an option; after `--` none is.
    if (value.startsWith('-') && (optionsEnd < 0 || index < optionsEnd))
      throw new Error(`${JSON.stringify(forLog(value))} would be an option: put -- before ${argument}`);
    return value;
  });
}

function credentialIn(output: Buffer, field: string): string {
  for (const value of claimsAt(jsonObjectIn(output), field)) {
    if (typeof value === 'string' && value !== '') return value;
    if (Number.isSafeInteger(value)) return String(value);
  }
  throw new Error(`no ${JSON.stringify(field)} in what it said`);
}

function jsonObjectIn(bytes: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    // The parser's own message could quote a credential.
    throw new Error('what it said is no JSON');
  }
  if (!isJsonObject(value)) throw new Error('what it said is no JSON object');
  return value;
}
