import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * The import table of docs/ARCHITECTURE.md, read off the manifests. An import that a manifest does not declare is an error of
 * the linter (noUndeclaredDependencies), so checking the manifests checks the code.
 */
const ROOT = join(import.meta.dirname, '../../..');

/** Lower layers first; a package may use packages of lower layers and of its own. */
const LAYERS: readonly { readonly name: string; readonly packages: readonly string[] }[] = [
  { name: 'pure', packages: ['errors', 'reference', 'scheduling', 'reconcile'] },
  { name: 'contracts', packages: ['oci', 'dockerfile', 'docker-api', 'proto'] },
  { name: 'adapters', packages: ['rpc', 'bus', 'cache', 'config', 'logging', 'identity'] },
  { name: 'nest', packages: ['nest', 'testing'] },
  { name: 'services', packages: ['gateway', 'scheduler', 'registry', 'image-builder', 'node-agent'] },
  { name: 'deploy', packages: ['cli', 'hosts'] },
];

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
}

const manifests = ['libs', 'services', 'deploy'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'examples')
    .map((entry) => ({
      folder,
      manifest: JSON.parse(readFileSync(join(ROOT, folder, entry.name, 'package.json'), 'utf8')) as Manifest,
    })),
);

const nameOf = (manifest: Manifest): string => manifest.name.replace('@atoll/', '');
const layerOf = (name: string): number => LAYERS.findIndex((layer) => layer.packages.includes(name));
const internal = (manifest: Manifest): string[] =>
  Object.keys(manifest.dependencies ?? {})
    .filter((name) => name.startsWith('@atoll/'))
    .map((name) => name.replace('@atoll/', ''));
const external = (manifest: Manifest): string[] =>
  Object.keys(manifest.dependencies ?? {}).filter((name) => !name.startsWith('@atoll/'));

describe.each(manifests)('$manifest.name', ({ manifest }) => {
  const name = nameOf(manifest);
  const layer = layerOf(name);

  test('has a place in the layers', () => {
    expect(layer).toBeGreaterThanOrEqual(0);
  });

  test('uses only what lies below it, or beside it among libraries', () => {
    const above = internal(manifest).filter((used) => layerOf(used) > layer);
    expect(above).toEqual([]);
  });

  test('services and tools of deployment do not use services', () => {
    expect(internal(manifest).filter((used) => LAYERS[4]?.packages.includes(used))).toEqual([]);
  });

  test('production code does not use test fixtures', () => {
    expect(internal(manifest)).not.toContain('testing');
  });

  test('pure libraries have no third-party imports', () => {
    if (LAYERS[layer]?.name === 'pure') expect(external(manifest)).toEqual([]);
  });

  test('only libs/nest and the services know NestJS', () => {
    const nest = external(manifest).filter((used) => used.startsWith('@nestjs/'));
    if (!['nest', 'services'].includes(LAYERS[layer]?.name ?? '')) expect(nest).toEqual([]);
  });
});

test('every layer names packages that exist', () => {
  const known = new Set(manifests.map(({ manifest }) => nameOf(manifest)));
  expect(LAYERS.flatMap((layer) => layer.packages).filter((name) => !known.has(name))).toEqual([]);
});
