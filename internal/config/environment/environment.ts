import type { Config, IssuerConfig, RouteTable } from '../config.js';
import { deepFreeze } from '../deep-freeze.js';
import { type IssuerDefaults, readIssuers } from '../issuers.js';
import type { Problem } from '../problem.js';
import { loadRoutes, type RoutesSource } from '../routes/file.js';
import { quote, readVariableText } from '../secrets.js';
import type { SettingsSource } from '../settings-reload.js';
import { assemble, exportsOtlp } from './assembly.js';
import { commandEnvironment } from './command-environment.js';
import { inconsistencies, listenerProblems } from './consistency.js';
import { lookAlikes } from './look-alikes.js';
import { Refused } from './readers.js';
import { placed, withSettingsFile } from './settings-file.js';
import { readVariable, VARIABLES, type Values, type Variable, type VariableName } from './variables.js';
import { warnings } from './warnings.js';

/** What the command line says beside the environment. */
export interface Flags {
  /** `--route-file`; ROUTE_FILE wins over it. */
  readonly routeFile?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

export type EnvironmentResult = { readonly config: Config } | { readonly problems: readonly Problem[] };

export interface LoadedConfiguration {
  readonly config: Config;
  readonly table: RouteTable;
  /** Where the table came from, for `RouteReloader`. */
  readonly routesSource: RoutesSource;
  /** What the settings file adds, for `SettingsReloader`. */
  readonly settings: SettingsSource;
  /** What is allowed and yet likely to be a mistake. */
  readonly warnings: readonly Problem[];
}

/** Variables that are not read and look like others may be what is behind the problems. */
export interface FaultyConfiguration {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

export type ConfigurationResult = LoadedConfiguration | FaultyConfiguration;

/**
 * A frozen configuration out of environment variables, or everything that is wrong with them. Reads the key,
 * certificate and secret files that they name.
 */
export function readEnvironment(env: Environment = process.env, flags: Flags = {}): EnvironmentResult {
  const { values, issuers, problems } = readSettings(env, flags);
  return problems.length > 0
    ? { problems }
    : { config: deepFreeze(assemble(values, issuers, commandEnvironment(env))) };
}

/** The environment with what the settings file adds to it. */
function readSettings(env: Environment, flags: Flags): Pick<Read, 'values' | 'issuers' | 'problems'> {
  const settings = withSettingsFile(withFlags(env, flags));
  const { values, issuers, problems } = readValues(settings.env);
  const all = [...settings.problems, ...problems].map((problem) => placed(problem, settings.places));
  return { values, issuers, problems: all };
}

/** The environment and the routes file that it names: a frozen configuration, or all problems of both. */
export function loadConfiguration(env: Environment = process.env, flags: Flags = {}): ConfigurationResult {
  const { env: given, places, ...settings } = withSettingsFile(withFlags(env, flags));
  const { values, issuers, ignored, ...read } = readValues(given);
  const problems = [...settings.problems, ...read.problems];
  const config = deepFreeze(assemble(values, issuers, commandEnvironment(env)));
  const routesSource = deepFreeze(routesSourceOf(config, given));
  const routes = loadRoutes(routesSource);
  const all = [
    ...problems,
    ...('problems' in routes ? routes.problems : listenerProblems(values, routes.table)),
  ].map((problem) => placed(problem, places));
  return 'problems' in routes || all.length > 0
    ? { problems: all, warnings: lookAlikes(env) }
    : {
        config,
        table: routes.table,
        routesSource,
        settings: { file: values.CONFIG_FILE, values, issuers, read: () => readSettings(env, flags) },
        warnings: [
          ...lookAlikes(env),
          ...[...warnings(values), ...ignored].map((warning) => placed(warning, places)),
        ],
      };
}

/** `--route-file` counts only where ROUTE_FILE is not set. */
function withFlags(env: Environment, { routeFile }: Flags): Environment {
  return routeFile && !isGiven(env, 'ROUTE_FILE') ? { ...env, ROUTE_FILE: routeFile } : env;
}

/**
 * A variable that is set but malformed is a problem already: it must not also make the routes file look
 * wrong, so what depends on its presence looks at the environment itself.
 */
function routesSourceOf(config: Config, env: Environment): RoutesSource {
  return {
    file: config.routeFile,
    fileGiven: isGiven(env, 'ROUTE_FILE'),
    backendGiven: isGiven(env, 'RAW_WS_BACKEND_URL', 'MQTT_WS_BACKEND_URL'),
    rawBackendUrl: config.rawBackendUrl,
    mqttBackendUrl: config.mqttBackendUrl,
    respondVariables: Object.fromEntries(config.respondVariables.map((name) => [name, env[name] ?? ''])),
    environment: { ...env },
    claimsShared:
      config.listen.workers === 1 || config.redisUrls.length > 0 || config.postgresDsn !== undefined,
    keySourceGiven: isGiven(env, ...KEY_SOURCES),
    issuerNames:
      isGiven(env, 'ISSUERS_FILE') && config.verification.issuers.length === 0
        ? undefined
        : config.verification.issuers.map(({ name }) => name),
  };
}

const KEY_SOURCES = [
  'JWKS_URL',
  'JWT_PUBLIC_KEY_FILE',
  'JWT_EXPECTED_ISSUER',
  'ISSUERS_FILE',
  'INTROSPECTION_URL',
] as const;

/** Whether one of these variables is set, itself or by its file. */
function isGiven(env: Environment, ...names: VariableName[]): boolean {
  return names.some((name) => Boolean(env[name] || env[`${name}_FILE`]));
}

interface Read {
  readonly values: Values;
  /** Of ISSUERS_FILE. */
  readonly issuers: readonly IssuerConfig[];
  readonly problems: readonly Problem[];
  /** Problems with variables that change nothing. */
  readonly ignored: readonly Problem[];
}

/** Reads every variable of the table; a malformed one is a problem and then holds its default. */
function readValues(env: Environment): Read {
  const values: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const [name, variable] of Object.entries<Variable<unknown>>(VARIABLES)) {
    const small = name.toLowerCase();
    const source = readVariableText(env, variable.inSmallLetters && env[small] ? small : name);
    const given = 'text' in source ? source.text : undefined;
    if ('fault' in source) problems.push({ name: source.name, message: source.fault });
    const value = readVariable(variable, given);
    if (value instanceof Refused) problems.push({ name: source.name, message: refusal(variable, value) });
    values[name] = value instanceof Refused ? readVariable(variable, undefined) : value;
  }
  // The loop went over the whole table, and each value was read by the reader `Values` is made of.
  const read = values as unknown as Values;
  const file = read.ISSUERS_FILE;
  const listed = file === undefined ? { issuers: [] } : readIssuers(file, issuerDefaults(read));
  const issuers = 'problems' in listed ? undefined : listed.issuers;
  problems.push(...inconsistencies(read, issuers), ...('problems' in listed ? listed.problems : []));
  // A platform sets these for all that it runs: they end nothing that makes no use of them.
  const off = tracingIsOff(read, problems);
  return {
    values: read,
    issuers: issuers ?? [],
    problems: problems.filter((problem) => !(off && isAboutTracing(problem))),
    ignored: problems.filter((problem) => off && isAboutTracing(problem)),
  };
}

function tracingIsOff(values: Values, problems: readonly Problem[]): boolean {
  if (values.OTEL_SDK_DISABLED || !exportsOtlp(values)) return true;
  const endpoint = 'OTEL_EXPORTER_OTLP_ENDPOINT';
  return values[endpoint] === undefined && !problems.some(({ name }) => name.startsWith(endpoint));
}

function isAboutTracing({ name }: Problem): boolean {
  return name.startsWith('OTEL_');
}

function issuerDefaults(values: Values): IssuerDefaults {
  return {
    audiences: values.JWT_EXPECTED_AUDIENCE ?? [],
    algorithms: values.JWT_VALID_ALGORITHMS,
    rolesClaims: values.JWT_ROLES_CLAIMS,
  };
}

function refusal({ reader, secret }: Variable<unknown>, { part }: Refused): string {
  const shown = secret ? 'the value' : quote(part);
  return `${shown} is not allowed: must be ${reader.allowed}`;
}

/** Longest request head in bytes: room for a large token beside a browser's cookies. */
const MAX_REQUEST_HEAD_BYTES = 65_536;

/** Bounds request heads; uWebSockets.js looks at this variable of its own when it is loaded. */
export function limitRequestHeads(): void {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(MAX_REQUEST_HEAD_BYTES);
}

/**
 * One arena of malloc for all threads of a worker, which glibc looks for when it starts: else
 * each keeps what it freed.
 */
export function shareMallocArena(): void {
  process.env.MALLOC_ARENA_MAX ??= '1';
}
