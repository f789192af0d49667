import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import { k8s, kustomize, one } from '../support/kubernetes/render.js';
import { schemaProblem, typeProblems } from '../support/kubernetes/schema.js';
import { renders } from './renders.js';

describe('every object of k8s/', () => {
  const made = renders();

  for (const { name, objects } of made) {
    it(`is what its schema allows: ${name}`, () => {
      assert.ok(objects.length > 3);
      assert.deepEqual(
        objects.map(schemaProblem).filter((problem) => problem !== undefined),
        [],
      );
    });
  }

  it('has no field that Kubernetes does not know', () => {
    assert.deepEqual(typeProblems(made.flatMap(({ objects }) => objects)), []);
  });

  it('is there once', () => {
    for (const { name, objects } of made) {
      const ids = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.deepEqual(ids, [...new Set(ids)], name);
    }
  });
});

describe('what is held against the schemas', () => {
  const objects = kustomize(k8s('base'));
  const container = () => {
    const copy = structuredClone(objects);
    const found = one<IDeployment>(copy, 'Deployment').spec?.template.spec?.containers[0];
    assert.ok(found);
    return { copy, found: found as unknown as Record<string, unknown> };
  };

  it('would show an unknown field in an object of any kind', () => {
    const misspelt = objects.map((object) => ({ ...object, metadata: { ...object.metadata, lables: {} } }));
    assert.equal(
      typeProblems(misspelt).filter((problem) => problem.includes('lables')).length,
      objects.length,
    );
  });

  it('would show a misspelt field', () => {
    const { copy, found } = container();
    found.securityContext = { readOnlyRootFileSystem: true };
    assert.match(typeProblems(copy).join(), /^Deployment ws-gateway: .*readOnlyRootFileSystem/);
  });

  it('would show a value of the wrong type', () => {
    const { copy, found } = container();
    found.ports = [{ containerPort: '8080' }];
    assert.match(copy.map(schemaProblem).join(''), /^Deployment ws-gateway: .*containerPort must be integer/);
  });
});
