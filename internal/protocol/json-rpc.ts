import { readStrictJson } from './strict-json.js';

/** What JSON-RPC 2.0 calls are validated against. */
export interface CallRules {
  /** By method, whether its `params` are valid; undefined: the call has none. */
  readonly methods: ReadonlyMap<string, (params: unknown) => boolean>;
  /** What to do with calls of other methods. */
  readonly unknown: 'refuse' | 'pass';
}

/** A message that must not be forwarded. `answer` undefined: the client gets none (notifications). */
export interface CallRefusal {
  readonly answer: string | undefined;
}

/** Limits batches, as the rate limit counts a batch as one message, and each call may need an answer. */
const MAX_BATCH_CALLS = 100;

/** Longest id that is repeated in an answer, in characters. */
const MAX_ID_LENGTH = 1024;

type Members = Readonly<Record<string, unknown>>;

interface Fault {
  readonly code: -32700 | -32600 | -32601 | -32602;
  readonly message: string;
}

/** JSON-RPC 2.0 §5.1 */
const PARSE_ERROR: Fault = { code: -32700, message: 'Parse error' };
const INVALID_REQUEST: Fault = { code: -32600, message: 'Invalid Request' };
const METHOD_NOT_FOUND: Fault = { code: -32601, message: 'Method not found' };
const INVALID_PARAMS: Fault = { code: -32602, message: 'Invalid params' };
const BATCH_REFUSED: Fault = {
  code: -32600,
  message: 'Not forwarded: another call of the batch was refused',
};
const BATCH_TOO_LONG: Fault = {
  code: -32600,
  message: `Not forwarded: a batch of more than ${MAX_BATCH_CALLS} calls`,
};

/**
 * Validates a client's message, a call or a batch of them (JSON-RPC 2.0 §4, §6); answers to calls of the
 * server pass. One invalid call refuses the whole batch, as nothing is cut out of a message. There are a
 * hundred answers at most, each only a little longer than its call.
 * @returns undefined: the message may be forwarded, byte for byte.
 */
export function judgeCalls(bytes: Uint8Array, rules: CallRules): CallRefusal | undefined {
  const reading = readStrictJson(bytes, MAX_BATCH_CALLS);
  if ('fault' in reading)
    return {
      answer: answerTo(null, reading.fault === 'too many elements' ? BATCH_TOO_LONG : PARSE_ERROR),
    };
  const { value } = reading;
  if (!Array.isArray(value)) {
    const fault = faultOf(value, rules);
    return fault && { answer: hasAnswer(value, fault) ? answerTo(idOf(value), fault) : undefined };
  }
  if (value.length === 0) return { answer: answerTo(null, INVALID_REQUEST) };
  const faults = value.map((call: unknown) => faultOf(call, rules));
  if (faults.every((fault) => fault === undefined)) return undefined;
  const answers = value.flatMap((call: unknown, index) => {
    const fault = faults[index] ?? BATCH_REFUSED;
    return hasAnswer(call, fault) ? [answerTo(idOf(call), fault)] : [];
  });
  return { answer: answers.length === 0 ? undefined : `[${answers.join(',')}]` };
}

function faultOf(call: unknown, { methods, unknown }: CallRules): Fault | undefined {
  if (!isObject(call) || isAmbiguous(call)) return INVALID_REQUEST;
  if (!Object.hasOwn(call, 'method'))
    return Object.hasOwn(call, 'result') || Object.hasOwn(call, 'error') ? undefined : INVALID_REQUEST;
  const { method } = call;
  if (typeof method !== 'string' || !isId(call.id)) return INVALID_REQUEST;
  const accepts = methods.get(method);
  if (accepts === undefined) return unknown === 'pass' ? undefined : METHOD_NOT_FOUND;
  return accepts(Object.hasOwn(call, 'params') ? call.params : undefined) ? undefined : INVALID_PARAMS;
}

const NAMES: ReadonlySet<string> = new Set(['jsonrpc', 'method', 'params', 'id']);

/** Some parsers ignore case: with `Method` beside `method` they could see another call than was validated. */
function isAmbiguous(call: Members): boolean {
  return Object.keys(call).some((name) => !NAMES.has(name) && NAMES.has(name.toLowerCase()));
}

/** JSON-RPC 2.0 §4.1: a notification is never answered, unless it is no request at all. */
function hasAnswer(call: unknown, fault: Fault): boolean {
  if (!isObject(call)) return true;
  if (Object.hasOwn(call, 'id')) return Object.hasOwn(call, 'method') || fault !== BATCH_REFUSED;
  return fault === INVALID_REQUEST;
}

/** null for an id that is invalid (JSON-RPC 2.0 §5) or cannot be repeated exactly. */
function idOf(call: unknown): string | number | null {
  const id = isObject(call) ? call.id : null;
  if (typeof id === 'string') return isId(id) ? id : null;
  return typeof id === 'number' && (Number.isSafeInteger(id) || !Number.isInteger(id)) && Number.isFinite(id)
    ? id
    : null;
}

function isId(id: unknown): boolean {
  if (typeof id === 'string') return id.length <= MAX_ID_LENGTH;
  return id === undefined || id === null || typeof id === 'number';
}

function answerTo(id: string | number | null, error: Fault): string {
  return JSON.stringify({ jsonrpc: '2.0', error, id });
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
