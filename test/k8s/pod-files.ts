import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { type KubernetesObject, one } from '../support/kubernetes/render.js';

/** The gateway's container and the pod around it. */
export function podOf(objects: readonly KubernetesObject[]) {
  const spec = one<IDeployment>(objects, 'Deployment').spec?.template.spec;
  const container = spec?.containers[0];
  if (spec === undefined || container === undefined) throw new Error('no pod');
  return { spec, container };
}

/** The variables that a pod would have, before its files have a place. */
export function variablesOf(objects: readonly KubernetesObject[]): Record<string, string> {
  const { container } = podOf(objects);
  const maps = (container.envFrom ?? []).map(({ configMapRef }) =>
    one<IConfigMap>(objects, 'ConfigMap', configMapRef?.name),
  );
  const own = (container.env ?? []).map(({ name, value }) => [name, value ?? '']);
  return Object.assign({}, ...maps.map(({ data }) => data ?? {}), Object.fromEntries(own));
}

/**
 * The environment of a pod whose mounts are folders of this machine. What a Secret holds that is not among
 * the objects, or without data there, is taken from `secrets` by key.
 */
export function environmentOf(
  t: TestContext,
  objects: readonly KubernetesObject[],
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const { spec, container } = podOf(objects);
  const root = mkdtempSync(join(tmpdir(), 'pod-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const { name, mountPath } of container.volumeMounts ?? []) {
    const files = filesOf(objects, spec, name, secrets);
    for (const [file, text] of Object.entries(files)) {
      const path = join(root, mountPath, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
  const mounts = (container.volumeMounts ?? []).map(({ mountPath }) => mountPath);
  return Object.fromEntries(
    Object.entries(variablesOf(objects)).map(([name, value]) => [
      name,
      mounts.some((path) => value.startsWith(`${path}/`)) ? join(root, value) : value,
    ]),
  );
}

function filesOf(
  objects: readonly KubernetesObject[],
  { volumes }: IPodSpec,
  name: string,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const volume = volumes?.find((each) => each.name === name);
  if (volume === undefined) throw new Error(`no volume ${name}`);
  const made = objects.some(({ metadata }) => metadata.name === volume.configMap?.name);
  if (volume.configMap !== undefined && made) {
    return { ...one<IConfigMap>(objects, 'ConfigMap', volume.configMap.name).data };
  }
  const keys = volume.secret?.items?.map(({ key, path }) => [path, secrets[key] ?? '']);
  return keys === undefined ? secrets : Object.fromEntries(keys);
}
