import type { AccessLog } from '../telemetry/log/access-log.js';
import { ACCESS_CHOICES, type AccessChoice, LOG_LEVELS, type LogLevel } from '../telemetry/log/log.js';
import { invalidPayload, missing, parsePayload, textMember } from './payload.js';

/** How much is logged. Plain data, which is sent between processes. */
export interface LogSettings {
  /** As LOG_LEVEL. */
  readonly level: LogLevel;
  /** As LOG_ACCESS. */
  readonly access: AccessChoice;
}

/** A change of log settings; what is absent stays as it is. */
export type LogOrder = Partial<LogSettings>;

/**
 * The body of PUT /admin/log: `{"level"?, "access"?}`, at least one of them.
 * @throws AdminRefusal 400
 */
export function readLogOrder(body: Buffer): LogOrder {
  const payload = parsePayload(body);
  const level = oneOf(LOG_LEVELS, textMember(payload, 'level'), 'level');
  const access = oneOf(ACCESS_CHOICES, textMember(payload, 'access'), 'access');
  if (level === undefined && access === undefined) throw missing('level|access');
  return { ...(level === undefined ? {} : { level }), ...(access === undefined ? {} : { access }) };
}

export function logSettings({ log, choice }: AccessLog): LogSettings {
  const level = LOG_LEVELS.find((known) => known === log.level);
  return { level: level ?? 'info', access: choice };
}

/** Applies from the next log line on. */
export function changeLog(accessLog: AccessLog, { level, access }: LogOrder): void {
  if (level !== undefined) accessLog.log.level = level;
  if (access !== undefined) accessLog.choice = access;
}

function oneOf<T extends string>(known: readonly T[], text: string | undefined, name: string): T | undefined {
  const found = known.find((word) => word === text);
  if (text !== undefined && found === undefined)
    throw invalidPayload(`${name} must be one of ${known.join(', ')}`);
  return found;
}
