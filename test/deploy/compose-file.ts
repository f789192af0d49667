import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Service {
  readonly build?: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
}

export interface ComposeFile {
  readonly services: Readonly<Record<'gateway' | 'mosquitto' | 'prometheus' | 'grafana', Service>> &
    Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** `${NAME}`, `${NAME:-default}` or `${NAME:?what to say when it is unset}`. */
export const REFERENCE = /\$\{(\w+)(?::([-?])([^}]*))?\}/g;

export const COMPOSE_TEXT = readFileSync('compose.yaml', 'utf8');

/** compose.yaml with its references replaced. @throws when one without a default is not among `values` */
export function composeFile(values: Readonly<Record<string, string>>): ComposeFile {
  const filled = COMPOSE_TEXT.replaceAll(REFERENCE, (whole, name: string, kind?: string, rest?: string) => {
    const value = values[name] ?? (kind === '-' ? rest : undefined);
    if (value === undefined) throw new Error(`${whole} has no value`);
    return value;
  });
  return parse(filled) as ComposeFile;
}
