/**
 * How far a moment is from now: `, in 5 min`, `, 3 h ago`; '' for what is no moment.
 * @param ms since the epoch
 */
export function relativeTime(ms: number): string {
  if (!Number.isFinite(ms)) return '';
  const seconds = Math.round(Math.abs(ms - Date.now()) / 1000);
  const size =
    seconds < 120
      ? `${seconds} s`
      : seconds < 7200
        ? `${Math.round(seconds / 60)} min`
        : `${Math.round(seconds / 3600)} h`;
  return ms < Date.now() ? `, ${size} ago` : `, in ${size}`;
}

/** Control, formatting and unassigned characters escaped: a terminal does not take them for commands. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`);
}
