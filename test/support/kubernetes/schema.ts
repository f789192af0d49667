import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import ts from 'typescript';
import type { KubernetesObject } from './render.js';

interface Model {
  new (data: never): { validate(): void };
  readonly apiVersion: string;
  readonly kind: string;
}

const CORE = 'kubernetes-models';
const GATEWAY = '@kubernetes-models/gateway-api';
const PROMETHEUS = '@kubernetes-models/prometheus-operator';

const KINDS: readonly { readonly model: Model; readonly from: string }[] = [
  ...[ConfigMap, Namespace, Secret, Service, Deployment].map((model) => ({ model, from: CORE })),
  ...[HorizontalPodAutoscaler, Ingress, NetworkPolicy].map((model) => ({ model, from: CORE })),
  { model: PodDisruptionBudget, from: CORE },
  { model: HTTPRoute, from: GATEWAY },
  ...[PrometheusRule, ServiceMonitor].map((model) => ({ model, from: PROMETHEUS })),
];

function kindOf({ apiVersion, kind }: KubernetesObject): (typeof KINDS)[number] | undefined {
  return KINDS.find(({ model }) => model.kind === kind && model.apiVersion === apiVersion);
}

/** What an object has that its JSON schema does not allow; undefined: nothing. Unknown fields pass. */
export function schemaProblem(object: KubernetesObject): string | undefined {
  const kind = kindOf(object);
  if (kind === undefined) return `${object.apiVersion} ${object.kind} has no schema here`;
  try {
    new kind.model(object as never).validate();
    return undefined;
  } catch (error) {
    return `${object.kind} ${object.metadata.name}: ${String(error)}`;
  }
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OPTIONS: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  types: [],
};

/**
 * Fields that the objects' types do not have, and whatever else the compiler finds wrong with them: each
 * object becomes a constant of the type that goes with its schema.
 */
export function typeProblems(objects: readonly KubernetesObject[]): readonly string[] {
  const source = objects
    .map((object, index) => {
      const { from = CORE, model } = kindOf(object) ?? {};
      const type = `import('${from}/${object.apiVersion}/${object.kind}').I${object.kind}`;
      return `export const object${index}: ${model === undefined ? 'never' : type} = ${JSON.stringify(object)};`;
    })
    .join('\n');
  return diagnosticsOf(join(ROOT, 'test', 'k8s', 'rendered.ts'), source).map(({ line, message }) => {
    const object = objects[line];
    return `${object?.kind} ${object?.metadata.name}: ${message}`;
  });
}

/** Problems of a file that is nowhere on the disk. */
function diagnosticsOf(path: string, text: string): { line: number; message: string }[] {
  const host = ts.createCompilerHost(OPTIONS);
  const onDisk = host.getSourceFile.bind(host);
  const exists = host.fileExists.bind(host);
  host.fileExists = (name) => name === path || exists(name);
  host.getSourceFile = (name, options, ...rest) =>
    name === path ? ts.createSourceFile(name, text, options) : onDisk(name, options, ...rest);
  host.getCurrentDirectory = () => dirname(path);
  const program = ts.createProgram([path], OPTIONS, host);
  const file = program.getSourceFile(path);
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
    ({ start = 0, messageText }) => ({
      line: file?.getLineAndCharacterOfPosition(start).line ?? 0,
      message: ts.flattenDiagnosticMessageText(messageText, ' '),
    }),
  );
}
