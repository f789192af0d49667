import { type LoggerOptions, pino } from 'pino';

/** Names under which secrets come, … */
const SECRETS = ['token', 'password', 'authorization', 'cookie'];
/** … and those that are left out of what a field holds, too. */
const INNER_SECRETS: ReadonlySet<string> = new Set(['token', 'password']);

type Fields = Record<string, unknown>;

/** For pino: a field that is named like a secret is left out, of a child's lines too; an error is cleaned. */
export const SERIALIZERS: NonNullable<LoggerOptions['serializers']> = Object.freeze({
  ...Object.fromEntries(SECRETS.map((name) => [name, () => undefined])),
  err: errorWithoutSecrets,
});

/** The fields of a line without secrets in what they hold. A line without any, as most are, is not copied. */
export function withoutInnerSecrets(fields: Fields): Fields {
  for (const name in fields) if (isToClean(name, fields[name])) return cleaned(fields);
  return fields;
}

/** An error as pino writes it, cleaned likewise. */
function errorWithoutSecrets(error: Error): unknown {
  const serialized: unknown = pino.stdSerializers.err(error);
  return holdsSecret(serialized) ? cleanedField(serialized) : serialized;
}

function cleaned(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      isToClean(name, value) ? cleanedField(value) : value,
    ]),
  );
}

function cleanedField(field: Fields): Fields {
  return Object.fromEntries(Object.entries(field).filter(([name]) => !INNER_SECRETS.has(name)));
}

/** `err` is looked at when it has been serialized. */
function isToClean(name: string, value: unknown): value is Fields {
  return name !== 'err' && holdsSecret(value);
}

function holdsSecret(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  for (const name in value) if (INNER_SECRETS.has(name)) return true;
  return false;
}
