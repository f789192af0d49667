import { isIP } from 'node:net';
import { z } from 'zod';
import { edits, MAX_EDITS } from '../environment/look-alikes.js';
import { MAX_BYTES } from '../environment/variables.js';
import { PROTOCOL_NAMES } from '../route.js';
import { isHostName, isUrl } from '../syntax.js';
import { auth, onlyRequired } from './entry/auth.js';
import { bootstrap } from './entry/bootstrap.js';
import { clientRuleKeys } from './entry/client-rules.js';
import { exchangeKeys } from './entry/exchange.js';
import {
  anySeconds,
  filePath,
  flag,
  httpPath,
  idleSeconds,
  listOf,
  mustBe,
  number,
  oneOf,
  redirect,
  seconds,
  secondsAbove0,
  wholeNumber,
  word,
} from './entry/fields.js';
import { answerHeaders, forwardHeaders } from './entry/headers.js';
import { tokenRuleKeys } from './entry/token-rules.js';
import { withoutPlaceholders } from './target-url.js';

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

export const protocolSchema = oneOf(...PROTOCOL_NAMES).optional();

export const mqttSchema = z
  .strictObject(
    { roles: oneOf('none', 'user-property', 'username').default('none') },
    mustBe('a mapping {roles}'),
  )
  .default({ roles: 'none' });

export const webSocketSchema = flag(true);

const role = word('a role: text that is not empty', (text) => text.trim() !== '');
const hostName = word('a host name', (name) => isHostName(name) && isIP(name) === 0);

/** How many of the sessions an endpoint gets, against the others. */
const weight = wholeNumber(1, 1000).default(1);

/** A placeholder that is left stands where none can (SPEC section 19); `${A}` is a text as it is meant. */
function isUpstreamUrl(text: string, schemes: readonly string[]): boolean {
  return !/(?<!\$)\{[\w-]+\}/.test(text) && isUrl(text, { schemes, credentials: false });
}

/** One URL or several, all of one kind; a mapping says more of one. */
function upstreams(schemes: readonly [string, string], orElse = '') {
  const urls = schemes.map((scheme) => `${scheme}://`).join(' or ');
  const allowed = `a ${urls} URL without credentials and fragment${orElse}`;
  return z.preprocess(
    (value) => (Array.isArray(value) || value === undefined ? value : [value]),
    listOf(
      z.preprocess(
        (value) => (typeof value === 'object' && value !== null ? value : { url: value }),
        z.strictObject(
          {
            url: word(allowed, (text) => isUpstreamUrl(withoutPlaceholders(text), schemes)),
            weight,
          },
          mustBe(`${allowed}, or a mapping {url, weight}`),
        ),
      ),
      'a ws://, wss://, http:// or https:// URL, a mapping {url, weight}, or a list of them; or respond, files or logout in its place',
      256,
    ),
  );
}

/** The keys of every entry. */
const everyKey = {
  prefix: prefixSchema,
  auth,
  requireRoles: z
    .array(role, mustBe('a list of one or more roles'))
    .min(1, mustBe('a list of one or more roles'))
    .max(256, mustBe('at most 256 items'))
    .default([])
    .transform((roles) => [...new Set(roles)]),
  ...tokenRuleKeys,
  ...clientRuleKeys,
};

/** The keys of entries with endpoints behind them. */
const upstreamKeys = {
  protocol: protocolSchema,
  copySubProtocol: flag(false),
  forwardToken: z.boolean(mustBe('true or false')).optional(),
  forwardHeaders,
  balance: oneOf('round-robin', 'least-sessions', 'hash:sub').default('round-robin'),
  health: z
    .strictObject(
      { path: httpPath, status: wholeNumber(200, 599).default(200) },
      mustBe('a mapping {path, status}'),
    )
    .optional(),
  onRemove: oneOf('keep', 'close').default('keep'),
  maxMessageBytes: wholeNumber(1, MAX_BYTES).optional(),
  tls: z
    .strictObject(
      {
        caFile: filePath.optional(),
        certFile: filePath.optional(),
        keyFile: filePath.optional(),
        serverName: hostName.optional(),
        insecureSkipVerify: flag(false),
      },
      mustBe('a mapping {caFile, certFile, keyFile, serverName, insecureSkipVerify}'),
    )
    .optional(),
  mqtt: mqttSchema,
  schemas: filePath.optional(),
  renew: flag(false),
};

/** The keys of WebSocket routes (SPEC section 3). */
const webSocketKeys = {
  ...everyKey,
  ...upstreamKeys,
  // What has no scheme at all is taken for a WebSocket's.
  upstream: upstreams(['ws', 'wss'], ', or all of them http:// or https:// URLs'),
  preserveQuery: flag(false),
  appendPath: flag(false),
  timeouts: z
    .strictObject(
      { connect: secondsAbove0.optional(), idle: idleSeconds.optional(), write: anySeconds.optional() },
      mustBe('a mapping {connect, idle, write}'),
    )
    .default({}),
  rateLimit: z
    .strictObject(
      { perSecond: number(0, 1e9, 'a number, 0 (off) to 1000000000'), burst: wholeNumber(1, 1e9) },
      mustBe('a mapping {perSecond, burst}'),
    )
    .optional(),
};

/** The keys of HTTP routes (SPEC section 17). */
const httpKeys = {
  ...everyKey,
  ...upstreamKeys,
  ...exchangeKeys,
  upstream: upstreams(['http', 'https']),
  preserveQuery: flag(true),
  appendPath: flag(true),
  preserveHost: flag(false),
  webSocket: webSocketSchema,
  timeouts: z
    .strictObject(
      { connect: seconds(5), answer: seconds(60), idle: seconds(60) },
      mustBe('a mapping {connect, answer, idle}'),
    )
    .prefault({}),
  bootstrap,
};

const respondKeys = {
  ...everyKey,
  ...exchangeKeys,
  respond: z.strictObject(
    {
      status: wholeNumber(200, 599).default(200),
      body: word('text of at most 65536 characters', (text) => text.length <= 65_536).default(''),
      headers: answerHeaders,
    },
    mustBe('a mapping {status, body, headers}'),
  ),
};

const filesKeys = { ...everyKey, ...exchangeKeys, files: filePath };

const logoutKeys = {
  ...everyKey,
  ...exchangeKeys,
  auth: onlyRequired,
  logout: z.preprocess(
    (value) => value ?? {},
    z.strictObject(
      {
        redirect: redirect.optional(),
        everywhere: flag(false),
      },
      mustBe('a mapping {redirect, everywhere}'),
    ),
  ),
};

const mapping = mustBe('a mapping with at least prefix and upstream');

/** One entry of routes.yaml, by what it does with its clients. */
export const entrySchemas = {
  websocket: z.strictObject(webSocketKeys, mapping),
  http: z.strictObject(httpKeys, mapping),
  respond: z.strictObject(respondKeys, mapping),
  files: z.strictObject(filesKeys, mapping),
  logout: z.strictObject(logoutKeys, mapping),
};

export type EntryKind = keyof typeof entrySchemas;
export type EntryOf<K extends EntryKind> = z.output<(typeof entrySchemas)[K]>;

/** What stands in an entry instead of `upstream`. */
export const LOCAL_KINDS = ['respond', 'files', 'logout'] as const;

const KEYS: Readonly<Record<EntryKind, Readonly<Record<string, unknown>>>> = {
  websocket: webSocketKeys,
  http: httpKeys,
  respond: respondKeys,
  files: filesKeys,
  logout: logoutKeys,
};

/** Every key that some entry may have. */
export const ENTRY_KEYS: readonly string[] = [...new Set(Object.values(KEYS).flatMap(Object.keys))];

/** What the routes of a kind are called. */
const KIND_NAMES: Readonly<Record<EntryKind, string>> = {
  websocket: 'ws:// and wss:// upstreams',
  http: 'http:// and https:// upstreams',
  respond: 'respond',
  files: 'files',
  logout: 'logout',
};

/** The kind an entry means to be, as far as its keys are there to tell. */
export function kindOf(item: Readonly<Record<string, unknown>>): EntryKind {
  const local = LOCAL_KINDS.find((kind) => Object.hasOwn(item, kind));
  if (local !== undefined) return local;
  const [written]: unknown[] = Array.isArray(item.upstream) ? item.upstream : [item.upstream];
  const first = typeof written === 'object' && written !== null && 'url' in written ? written.url : written;
  return typeof first === 'string' && /^https?:/i.test(first) ? 'http' : 'websocket';
}

/** What is wrong with a key that entries of a kind do not have. */
export function foreignKey(key: string): string {
  const kinds = (Object.keys(KEYS) as EntryKind[]).filter((kind) => Object.hasOwn(KEYS[kind], key));
  if (key === 'upstream' || LOCAL_KINDS.some((kind) => kind === key))
    return `stands alone: an entry has one of upstream, ${LOCAL_KINDS.join(', ')}`;
  if (kinds.length === 0) {
    const meant = meantKey(key);
    return `is not a key that is known here${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  }
  return `goes with ${kinds.map((kind) => KIND_NAMES[kind]).join(', ')} only`;
}

/** The key that another one, of some kind of entry, may have been meant for; undefined: none is near. */
function meantKey(key: string): string | undefined {
  const near = ENTRY_KEYS.map((each) => ({
    each,
    away: edits(key.toLowerCase(), each.toLowerCase()),
  })).filter(({ each, away }) => away <= Math.min(MAX_EDITS, each.length / 4));
  return near.sort((a, b) => a.away - b.away)[0]?.each;
}
