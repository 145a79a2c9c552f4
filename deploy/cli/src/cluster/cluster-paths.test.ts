import { expect, test } from 'vitest';
import { ClusterPaths } from './cluster-paths.ts';

test.each([
  ['the default cluster', {}, '/var/lib/atoll', '/run/atoll/default/docker.sock'],
  ['a named one', { name: 'ci' }, '/var/lib/atoll-ci', '/run/atoll/ci/docker.sock'],
  ['a data root of its own', { name: 'ci', dataRoot: '/data/x' }, '/data/x', '/run/atoll/ci/docker.sock'],
])('%s', (_name, options, dataRoot, socket) => {
  const paths = new ClusterPaths(options);
  expect([paths.dataRoot, paths.dockerSocket]).toEqual([dataRoot, socket]);
});

test.each(['', 'A', '../x', 'a/b', '-x', 'a'.repeat(33)])('the name %j is refused', (name) => {
  expect(() => new ClusterPaths({ name })).toThrow(/cluster name/);
});

test('clusters never share a bridge, and its name fits into the kernel', () => {
  const names = ['default', 'a', 'b'].map((name) => new ClusterPaths({ name, dataRoot: '/tmp/atoll-x' }).names());
  expect(new Set(names.map((one) => one.bridge)).size).toBe(3);
  for (const one of names) expect(Math.max(one.bridge.length, one.cable(240).length)).toBeLessThanOrEqual(15);
});
