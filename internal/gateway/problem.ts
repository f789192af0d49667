import { problemAnswer } from '../exchange/problem.js';
import type { Answer } from './answer.js';

/** The problem document of a failure (RFC 9457), of which HTTP routes make all their refusals. */
export function asProblem(thrown: unknown): Answer {
  const { status, headers: lines, body } = problemAnswer(thrown);
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at] ?? ''] = lines[at + 1] ?? '';
  return { status, headers, body: String(body) };
}
