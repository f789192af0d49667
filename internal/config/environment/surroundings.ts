import { readVariableText, type VariableText } from '../secrets.js';
import { Refused } from './readers.js';
import { VARIABLES } from './variables.js';

/** What commands for people ask of the environment beside the gateway's own variables. */
type Environment = Readonly<Record<string, string | undefined>>;

/** Whether what goes to `output` may be coloured: a terminal that can, without NO_COLOR (no-color.org). */
export function wantsColour(output: { readonly isTTY?: boolean }, env: Environment = process.env): boolean {
  return isScreen(output, env) && (env.NO_COLOR ?? '') === '';
}

/** Whether what goes to `output` is shown where a cursor can be moved. */
export function isScreen(output: { readonly isTTY?: boolean }, env: Environment = process.env): boolean {
  return output.isTTY === true && env.TERM !== 'dumb';
}

/** Whether `npm start` started this process. */
export function startedByNpm(env: Environment = process.env): boolean {
  return env.npm_lifecycle_event === 'start';
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

/** ADMIN_TOKEN, or what stands in the file that ADMIN_TOKEN_FILE names, as the gateway would read it. */
export function adminToken(): VariableText {
  const found = readVariableText(process.env, 'ADMIN_TOKEN');
  if ('fault' in found) return found;
  const { reader } = VARIABLES.ADMIN_TOKEN;
  const text = found.text?.trim() ?? '';
  const isGood = text === '' || !(reader.read(text) instanceof Refused);
  return isGood ? { ...found, text } : { name: found.name, fault: `must be ${reader.allowed}` };
}
