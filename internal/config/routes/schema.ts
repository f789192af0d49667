import { isIP } from 'node:net';
import { z } from 'zod';
import { isOwnHeader } from '../../request/own-headers.js';
import { isHostName, isName, isUpstreamUrl } from '../syntax.js';
import { tokenRuleKeys } from './token-rules.js';
import { listOf, mustBe, oneOf, word } from './words.js';

const flag = z.boolean(mustBe('true or false')).default(false);

/** Paths that the gateway answers itself. */
const OWN_PATHS = ['healthz', 'readyz', 'metrics', 'admin'];

export const prefixSchema = word(
  `a path that starts with /, as clients send it after decoding: no empty or dot segment, no white space, none of % ? # \\, none of /${OWN_PATHS.join(', /')} or below`,
  (prefix) =>
    prefix.length <= 512 &&
    /^(?:\/[^/\s\p{Cc}%?#\\]+)*\/?$/u.test(prefix) &&
    prefix.startsWith('/') &&
    !prefix.split('/').some((segment) => segment === '.' || segment === '..') &&
    !OWN_PATHS.includes(prefix.split('/')[1] ?? ''),
);

export const protocolSchema = oneOf('mqtt', 'raw').optional();

export const mqttSchema = z
  .strictObject(
    { roles: oneOf('none', 'user-property', 'username').default('none') },
    mustBe('a mapping {roles}'),
  )
  .default({ roles: 'none' });

const headerName = word(
  'the name of a header that the gateway may pass on: not Authorization, Host, Content-Length, X-Request-Id, traceparent, tracestate, hop-by-hop, X-User-*, X-Forwarded-*, Sec-WebSocket-*',
  (name) => isName(name) && !isOwnHeader(name),
).transform((name) => name.toLowerCase());

const upstream = word('a ws:// or wss:// URL without credentials and fragment', isUpstreamUrl);
const role = word('a role: text that is not empty', (text) => text.trim() !== '');
const filePath = word('the path of a file', (path) => path !== '' && !path.includes('\0'));
const httpPath = word('a path that starts with /', (path) => /^\/[!-~]*$/.test(path) && !path.includes('#'));
const hostName = word('a host name', (name) => isHostName(name) && isIP(name) === 0);

const number = (min: number, max: number, allowed: string) =>
  z.number(mustBe(allowed)).min(min, mustBe(allowed)).max(max, mustBe(allowed));
const wholeNumber = (min: number, max: number) =>
  number(min, max, `a whole number, ${min} to ${max}`).int(mustBe('a whole number'));

/** One entry of routes.yaml, as SPEC section 3 lists its keys. */
export const entrySchema = z.strictObject(
  {
    prefix: prefixSchema,
    upstream: z.preprocess(
      (value) => (Array.isArray(value) ? value : [value]),
      listOf(upstream, 'a ws:// or wss:// URL, or a list of them', 256),
    ),
    protocol: protocolSchema,
    copySubProtocol: flag,
    preserveQuery: flag,
    appendPath: flag,
    auth: oneOf('required', 'public').default('required'),
    requireRoles: listOf(role, 'a list of one or more roles', 256).default([]),
    ...tokenRuleKeys,
    forwardHeaders: z
      .array(headerName, mustBe('a list of header names'))
      .max(64, mustBe('at most 64 items'))
      .default([]),
    rateLimit: z
      .strictObject(
        { perSecond: number(0, 1e9, 'a number, 0 (off) to 1000000000'), burst: wholeNumber(1, 1e9) },
        mustBe('a mapping {perSecond, burst}'),
      )
      .optional(),
    balance: oneOf('round-robin', 'least-sessions', 'hash:sub').default('round-robin'),
    health: z
      .strictObject(
        { path: httpPath, status: wholeNumber(200, 599).default(200) },
        mustBe('a mapping {path, status}'),
      )
      .optional(),
    onRemove: oneOf('keep', 'close').default('keep'),
    tls: z
      .strictObject(
        {
          caFile: filePath.optional(),
          certFile: filePath.optional(),
          keyFile: filePath.optional(),
          serverName: hostName.optional(),
          insecureSkipVerify: flag,
        },
        mustBe('a mapping {caFile, certFile, keyFile, serverName, insecureSkipVerify}'),
      )
      .optional(),
    mqtt: mqttSchema,
  },
  mustBe('a mapping with at least prefix and upstream'),
);

export type Entry = z.output<typeof entrySchema>;
