import { Metrics } from '../../internal/telemetry/metrics/metrics.js';

/** Every series name that a gateway exports. */
export async function exportedNames(): Promise<ReadonlySet<string>> {
  const metrics = new Metrics(1);
  metrics.collectProcessMetrics();
  const names = (await metrics.snapshot()).flatMap(({ name, type }) =>
    String(type) === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name],
  );
  return new Set([...names, 'up']);
}

/** The series names in an expression. */
export function namesIn(expression: string): readonly string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  const words = [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\w*\s*\()/g)].map(([word]) => word);
  return words.filter((word) => /^(up$|ws_|http_|nodejs_|process_)|:/.test(word));
}
