import { readVariableText, type VariableText } from '../secrets.js';

/** What commands for people ask of the environment beside the gateway's own variables. */
type Environment = Readonly<Record<string, string | undefined>>;

/** Whether what goes to `output` may be coloured: a terminal, without NO_COLOR (no-color.org). */
export function wantsColour(output: { readonly isTTY?: boolean }, env: Environment = process.env): boolean {
  return output.isTTY === true && (env.NO_COLOR ?? '') === '';
}

export function isProduction(env: Environment = process.env): boolean {
  return env.NODE_ENV === 'production';
}

/** PORT, or else `otherwise`. @throws Error when it is no port. */
export function portOr(otherwise: number, env: Environment = process.env): number {
  const text = env.PORT ?? '';
  const port = text === '' ? otherwise : Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`PORT ${text} is no port: 0 to 65535`);
}

/** ADMIN_TOKEN, or what stands in the file that ADMIN_TOKEN_FILE names. */
export function adminToken(env: Environment = process.env): VariableText {
  return readVariableText(env, 'ADMIN_TOKEN');
}
