import { z } from 'zod';
import type { CorsRule, RequestLimit } from '../../config.js';
import { isName, isOriginPattern } from '../../syntax.js';
import { anyListOf, flag, listOf, mustBe, number, oneOf, wholeNumber, word } from './fields.js';
import { headerRules } from './headers.js';

/** RFC 9110 §9.3.6, §9.3.8: a tunnel and an echo, which the gateway offers nobody. */
const NEVER = new Set(['CONNECT', 'TRACE']);

const method = word(
  'a method in capitals, not CONNECT or TRACE',
  (name) => isName(name) && name === name.toUpperCase() && !NEVER.has(name),
);

/** Upper-case, HEAD with GET (RFC 9110 §9.3.2). */
const methods = listOf(method, 'a list of methods', 64)
  .transform((names) => [...new Set(names.flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name])))])
  .optional();

const headerName = word('the name of a header', isName);

const cors = z
  .strictObject(
    {
      origins: listOf(
        word('an origin as in WS_ALLOWED_ORIGINS', isOriginPattern),
        'a list of one or more origins',
        256,
      ),
      methods: anyListOf(method, 'a list of methods', 64),
      headers: anyListOf(headerName, 'a list of header names', 256),
      expose: anyListOf(headerName, 'a list of header names', 256),
      credentials: flag(false),
      maxAge: wholeNumber(0, 86_400).optional(),
    },
    mustBe('a mapping {origins, methods, headers, expose, credentials, maxAge}'),
  )
  .superRefine(({ origins, headers, expose, credentials }, context) => {
    // Any page could act as the user, which CORS is there to prevent; browsers take a `*` literally then.
    for (const [key, list] of Object.entries({ origins, headers, expose }))
      if (credentials && list.includes('*'))
        context.addIssue({ code: 'custom', path: [key], message: '* does not go with credentials: true' });
  })
  .transform(({ maxAge, ...rule }): CorsRule => ({ ...rule, maxAgeSeconds: maxAge }))
  .optional();

const rate = number(Number.MIN_VALUE, 1e9, 'a number above 0, up to 1000000000');

const requestLimit = z
  .strictObject(
    {
      perSecond: rate.optional(),
      perMinute: rate.optional(),
      burst: wholeNumber(1, 1e9).optional(),
      by: oneOf('sub', 'ip').default('sub'),
    },
    mustBe('a mapping {perSecond or perMinute, burst, by}'),
  )
  .superRefine(({ perSecond, perMinute }, context) => {
    if ((perSecond === undefined) === (perMinute === undefined))
      context.addIssue({ code: 'custom', message: 'must name one of perSecond and perMinute' });
  })
  .transform(({ perSecond, perMinute, burst, by }): RequestLimit => {
    const requests = perSecond ?? perMinute ?? 1;
    return {
      requests,
      perMs: perSecond === undefined ? 60_000 : 1_000,
      burst: burst ?? Math.max(1, Math.floor(requests)),
      by,
    };
  })
  .optional();

/** Largest request body unless the route says otherwise. */
const MAX_BODY_BYTES = 10_485_760;

/** The keys of entries that plain HTTP requests come to. */
export const exchangeKeys = {
  methods,
  requestHeaders: headerRules,
  responseHeaders: headerRules,
  securityHeaders: flag(true),
  rateLimit: requestLimit,
  cors,
  maxBodyBytes: wholeNumber(0, Number.MAX_SAFE_INTEGER).default(MAX_BODY_BYTES),
};
