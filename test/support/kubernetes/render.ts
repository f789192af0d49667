import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** What every Kubernetes object has. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

/** The oldest Kubernetes that the chart is for. */
const OLDEST_KUBERNETES = '1.27.0';

const TOOLS = fileURLToPath(new URL('../../../node_modules/.cache/kubernetes-tools/', import.meta.url));

/** A file or folder of k8s/. */
export const k8s = (name: string): string => fileURLToPath(new URL(`../../../k8s/${name}`, import.meta.url));

/** What `kubectl kustomize` makes of a folder. */
export function kustomize(folder: string): readonly KubernetesObject[] {
  return objectsOf(run('kubectl', ['kustomize', folder]));
}

/** What `helm template` makes of a chart, ours if none is named. @throws Error with what helm says. */
export function helmTemplate(values: object, chart = k8s('chart')): readonly KubernetesObject[] {
  const folder = mkdtempSync(join(tmpdir(), 'values-'));
  try {
    const file = join(folder, 'values.json');
    writeFileSync(file, JSON.stringify(values));
    const options = ['--namespace', 'ws', '--kube-version', OLDEST_KUBERNETES, '--values', file];
    return objectsOf(run('helm', ['template', 'gw', chart, ...options]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The binary that scripts/kubernetes-tools put there. */
export function tool(name: 'kubectl' | 'helm'): string {
  const path = join(TOOLS, name);
  if (!existsSync(path)) throw new Error(`${name} is not there: run scripts/kubernetes-tools`);
  return path;
}

/** Runs kubectl or helm without a cluster. @throws Error with what it says. */
export function run(name: 'kubectl' | 'helm', args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(tool(name), args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** As Kubernetes reads it: YAML 1.1. */
function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw problem;
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

/** The objects of a kind. `T` is the type of this kind in kubernetes-models. */
export function all<T>(objects: readonly KubernetesObject[], kind: string): readonly T[] {
  return objects.filter((object) => object.kind === kind) as unknown as readonly T[];
}

/** The one object of a kind, or of a kind and name. */
export function one<T>(objects: readonly KubernetesObject[], kind: string, name?: string): T {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  if (found.length !== 1) throw new Error(`${found.length} objects are a ${kind} ${name ?? ''}`);
  return found[0] as unknown as T;
}
