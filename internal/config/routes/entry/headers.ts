import { z } from 'zod';
import { isFramingHeader, isOwnHeader } from '../../../request/own-headers.js';
import { isName } from '../../syntax.js';
import { templateFault } from '../templates.js';
import { anyListOf, mustBe, word } from './fields.js';

const lowerCase = (name: string) => name.toLowerCase();

const forwardedHeader = word(
  'the name of a header that the gateway may pass on: not Authorization, Host, Content-Length, X-Request-Id, traceparent, tracestate, hop-by-hop, X-User-*, X-Forwarded-*, Sec-WebSocket-*',
  (name) => isName(name) && !isOwnHeader(name),
).transform(lowerCase);

export const forwardHeaders = anyListOf(forwardedHeader, 'a list of header names', 64).transform((names) => [
  ...new Set(names),
]);

const changeableName = 'the name of a header, not Host, Content-Length, Expect, hop-by-hop, Sec-WebSocket-*';

function isChangeable(name: string): boolean {
  return isName(name) && !isFramingHeader(name);
}

/** RFC 9110 §5.5: visible ASCII and blanks between; what is longer is no header of an operator's. */
const headerValue = word(
  'text of printable ASCII without blanks at its ends, at most 4096 characters',
  (value) => /^(?:[!-~](?:[\t -~]*[!-~])?)?$/.test(value) && value.length <= 4096,
);

const template = headerValue.superRefine((value, context) => {
  const fault = templateFault(value);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
});

/** A mapping of header names to values, as a list in its order. */
function headersOf<T extends z.ZodType<string>>(value: T) {
  return z
    .record(z.string(), value, mustBe('a mapping of header names to values'))
    .superRefine((headers, context) => {
      const seen = new Set<string>();
      for (const name of Object.keys(headers)) {
        const twice = seen.has(lowerCase(name));
        seen.add(lowerCase(name));
        const message = !isChangeable(name)
          ? `is not allowed: must be ${changeableName}`
          : twice
            ? 'is given twice'
            : undefined;
        if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
      }
      if (seen.size > 64) context.addIssue({ code: 'custom', message: 'must be at most 64 headers' });
    })
    .default({})
    .transform((headers) => Object.entries(headers).map(([name, text]) => ({ name, value: text })));
}

/** `requestHeaders` and `responseHeaders`. */
export const headerRules = z
  .strictObject(
    {
      set: headersOf(template),
      remove: anyListOf(
        word(changeableName, isChangeable).transform(lowerCase),
        'a list of header names',
        64,
      ),
    },
    mustBe('a mapping {set, remove}'),
  )
  .default({ set: [], remove: [] });

/** The headers of a fixed answer. */
export const answerHeaders = headersOf(headerValue);
