import { type LoggerOptions, pino } from 'pino';

/** Fields of a log line that are left out, … */
const SECRETS = ['token', 'password', 'authorization', 'cookie'];
/** … and members that are left out of objects in fields, too. */
const INNER_SECRETS: ReadonlySet<string> = new Set(['token', 'password']);

type Fields = Record<string, unknown>;

/** Serializers for pino: leave out fields with names of secrets, also of child loggers, and clean errors. */
export const SERIALIZERS: NonNullable<LoggerOptions['serializers']> = Object.freeze({
  ...Object.fromEntries(SECRETS.map((name) => [name, () => undefined])),
  err: errorWithoutSecrets,
});

/** Removes secrets from objects in the fields of a line. A line without any, as most are, is not copied. */
export function withoutInnerSecrets(fields: Fields): Fields {
  for (const name in fields) if (isToClean(name, fields[name])) return cleaned(fields);
  return fields;
}

/** An error as pino serializes it, without secrets. */
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

/** Not `err`, which is cleaned by its serializer. */
function isToClean(name: string, value: unknown): value is Fields {
  return name !== 'err' && holdsSecret(value);
}

function holdsSecret(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  for (const name in value) if (INNER_SECRETS.has(name)) return true;
  return false;
}
