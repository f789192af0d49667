import type { SettingsChange } from '../config/settings-reload.js';
import type { LimitsInForce } from '../ratelimit/limits-in-force.js';
import type { AccessLog } from '../telemetry/log/access-log.js';

/** Applies a changed settings file to this process. */
export function takeSettings(
  change: SettingsChange,
  { accessLog, limits }: { readonly accessLog: AccessLog; readonly limits: LimitsInForce },
): void {
  if (change.kind === 'rejected') return;
  const { settings, changed } = change;
  // What the admin API has set since stays in force unless the file has changed in that setting.
  if (changed.includes('LOG_LEVEL')) accessLog.log.level = settings.level;
  if (changed.includes('LOG_ACCESS')) accessLog.choice = settings.access;
  limits.configure(settings.rateLimit);
}
