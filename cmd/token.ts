import { readFileSync } from 'node:fs';
import { command as define, UsageError } from './line/command.js';
import { httpUrlOf } from './line/http-url.js';
import { secondsOf } from './line/numbers.js';
import { readToken, TOKEN_OPTIONS } from './line/token-input.js';
import { fromDevGateway } from './token/dev-gateway.js';
import { inspection } from './token/inspection.js';
import { mint } from './token/mint.js';
import { claimsFrom } from './token/wishes.js';

const DEV_URL = 'http://127.0.0.1:8080';
/** Of a token: ten years. */
const LONGEST_LIFE = '3650d';

export const command = define({
  name: 'token',
  summary: 'Makes a token, or shows what is in one',
  operands: '[inspect]',
  about: `Signs with your private key (--key), or lets a running \`ws-gateway dev\` sign. \`inspect\` shows header and claims of
a token (--token, --token-file) and verifies nothing: explain does that.`,
  options: {
    key: { value: 'FILE', text: 'private key, PEM; default: the key of a running `ws-gateway dev`' },
    dev: { value: 'URL', text: `where that one listens; default: ${DEV_URL}` },
    sub: { value: 'SUB', text: 'subject; default: dev' },
    name: { value: 'NAME', text: 'preferred_username; default: none' },
    role: { value: 'ROLE', text: 'a role; may be given several times', multiple: true },
    ttl: { value: 'TIME', text: 'how long it is good: 30s, 15m, 1h, 7d; at most 3650d; default: 1h' },
    issuer: { value: 'ISS', text: 'iss; default: none, or that of the dev gateway' },
    audience: { value: 'AUD', text: 'aud; default: none' },
    claim: {
      value: 'NAME=VALUE',
      text: 'any other claim: the value as JSON where it is JSON, else as text',
      multiple: true,
    },
    alg: { value: 'ALG', text: 'default: what fits the key, RS256 for RSA' },
    kid: { value: 'KID', text: 'key id in the header; default: none' },
    ...TOKEN_OPTIONS,
    json: { text: 'inspect: one JSON object' },
  },
  notes: `Examples:
  ws-gateway token --key issuer-key.pem --sub alice --role clerk --ttl 15m
  ws-gateway token --sub alice | ws-gateway token inspect --token -`,
  async run(flags, operands) {
    const [verb, ...others] = operands;
    if (others.length > 0 || (verb !== undefined && verb !== 'inspect'))
      throw new UsageError([`token takes no ${JSON.stringify(others[0] ?? verb)}: there is only inspect`]);
    if (verb === 'inspect') {
      const token = await readToken(flags);
      if (token === undefined) throw new UsageError(['inspect wants --token - or --token-file FILE']);
      process.stdout.write(inspection(token, flags.json));
      return 0;
    }
    const given = (['token', 'token-file', 'json'] as const).find((flag) => flags[flag]);
    if (given !== undefined) throw new UsageError([`--${given} goes with inspect only`]);
    if (flags.key !== undefined && flags.dev !== undefined)
      throw new UsageError(['--key beside --dev: give one of them']);
    const wishes = {
      sub: flags.sub ?? 'dev',
      claims: claimsFrom(flags),
      ttlSeconds: secondsOf(flags.ttl ?? '1h', '--ttl', LONGEST_LIFE),
    };
    const token =
      flags.key === undefined
        ? await fromDevGateway(httpUrlOf(flags.dev ?? DEV_URL, '--dev'), wishes)
        : await mint(keyFrom(flags.key), { ...wishes, alg: flags.alg, kid: flags.kid });
    process.stdout.write(`${token}\n`);
    return 0;
  },
});

function keyFrom(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new UsageError([`--key: ${JSON.stringify(file)} cannot be read`]);
  }
}
