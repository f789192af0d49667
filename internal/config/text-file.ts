import { readFileSync, type Stats, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';

/** A file's text, or why there is none, worded to follow its name. */
export type FileText =
  | { readonly text: string }
  | { readonly fault: string /** Whether there is no such file. */; readonly missing: boolean };

/**
 * Reads a regular file of UTF-8 text, a byte order mark removed. Pipes and devices, which may block
 * or never end, are refused.
 */
export function readTextFile(file: string, limitBytes: number): FileText {
  try {
    return refusal(statSync(file), limitBytes) ?? decode(readFileSync(file), limitBytes);
  } catch (error) {
    return faultOf(error);
  }
}

/** As `readTextFile`, without holding up the event loop. */
export async function readTextFileAsync(file: string, limitBytes: number): Promise<FileText> {
  try {
    return refusal(await stat(file), limitBytes) ?? decode(await readFile(file), limitBytes);
  } catch (error) {
    return faultOf(error);
  }
}

function refusal(stats: Stats, limitBytes: number): FileText | undefined {
  if (!stats.isFile()) return { fault: 'is not a regular file', missing: false };
  return stats.size > limitBytes ? tooLarge(limitBytes) : undefined;
}

function tooLarge(limitBytes: number): FileText {
  return { fault: `is larger than ${limitBytes} bytes`, missing: false };
}

function decode(bytes: Buffer, limitBytes: number): FileText {
  if (bytes.length > limitBytes) return tooLarge(limitBytes);
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { fault: 'is not UTF-8 text', missing: false };
  }
}

/** Why the file system refused, worded to follow the name of what was asked for. */
export function faultOf(error: unknown): Extract<FileText, { readonly fault: string }> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  if (code === 'ENOENT' || code === 'ENOTDIR') return { fault: 'does not exist', missing: true };
  if (code === 'EACCES' || code === 'EPERM') return { fault: 'may not be read by this user', missing: false };
  return { fault: `cannot be read (${code})`, missing: false };
}
