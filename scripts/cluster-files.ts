import { readFileSync } from 'node:fs';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

/** The alert rules as they are in deploy/: neither Helm nor kustomize reads files outside its folder. */
export function alertRules(): string {
  return read('deploy/prometheus/alerts.yml');
}

/** The dashboard in one line: with indents it would be twice as long in the ConfigMap. */
export function dashboard(): string {
  return `${JSON.stringify(JSON.parse(read('deploy/grafana/dashboard.json')))}\n`;
}

/** The alert rules as the Prometheus operator takes them. */
export function prometheusRule(): string {
  const [, groups = ''] = /^(groups:\n[\s\S]*)$/m.exec(alertRules()) ?? [];
  return `# Made from deploy/prometheus/alerts.yml by \`npm run docs\`; for the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ws-gateway
spec:
${groups.replace(/^(?=.)/gm, '  ')}`;
}
