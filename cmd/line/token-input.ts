import { readTextFile } from '../../internal/config/text-file.js';
import { withoutBearer } from '../../internal/protocol/bearer.js';
import { UsageError } from './command.js';

/** Longest token that is read, in bytes: what an MQTT password can hold. */
const MAX_TOKEN_BYTES = 65_535;

/** The flags of every command that wants a token. */
export const TOKEN_OPTIONS = {
  token: {
    value: 'TOKEN',
    text: 'the token, or - to read it from standard input: a token among the\narguments shows to everybody who lists processes',
  },
  'token-file': { value: 'FILE', text: 'a file that holds it' },
} as const;

export interface TokenFlags {
  readonly token: string | undefined;
  readonly 'token-file': string | undefined;
}

/** @throws UsageError */
export async function readToken({ token, 'token-file': file }: TokenFlags): Promise<string | undefined> {
  if (token !== undefined && file !== undefined)
    throw new UsageError(['--token beside --token-file: give one of them']);
  let given = token;
  if (token === '-') given = await standardInput();
  if (file !== undefined) {
    const read = readTextFile(file, MAX_TOKEN_BYTES);
    if ('fault' in read) throw new UsageError([`--token-file: ${JSON.stringify(file)} ${read.fault}`]);
    given = read.text;
  }
  if (given === undefined) return undefined;
  const found = withoutBearer(given.trim());
  if (found === undefined) throw new UsageError(['the token is empty']);
  if (Buffer.byteLength(found) > MAX_TOKEN_BYTES)
    throw new UsageError([`the token is longer than ${MAX_TOKEN_BYTES} bytes`]);
  return found;
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    chunks.push(Buffer.from(chunk));
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes > MAX_TOKEN_BYTES) throw new UsageError([`the token is longer than ${MAX_TOKEN_BYTES} bytes`]);
  }
  return Buffer.concat(chunks).toString('utf8');
}
