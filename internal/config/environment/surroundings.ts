import { readVariableText, type VariableText } from '../secrets.js';

/** Whether what goes to `output` may be coloured: a terminal, without NO_COLOR (no-color.org). */
export function wantsColour(output: { readonly isTTY?: boolean }): boolean {
  return output.isTTY === true && (process.env.NO_COLOR ?? '') === '';
}

export function isProduction(): boolean {
  return process.env.NODE_ENV === 'production';
}

/** PORT, or else `otherwise`. @throws Error when it is no port. */
export function portOr(otherwise: number): number {
  const text = process.env.PORT ?? '';
  const port = text === '' ? otherwise : Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`PORT ${text} is no port: 0 to 65535`);
}

/** ADMIN_TOKEN, or what stands in the file that ADMIN_TOKEN_FILE names. */
export function adminToken(): VariableText {
  return readVariableText(process.env, 'ADMIN_TOKEN');
}
