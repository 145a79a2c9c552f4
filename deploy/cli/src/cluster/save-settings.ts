import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { writeFileDurably } from '@atoll/identity';
import type { ClusterPaths } from './cluster-paths.ts';
import type { ClusterSettings } from './cluster-settings.ts';

export async function saveSettings(paths: ClusterPaths, settings: ClusterSettings): Promise<void> {
  await mkdir(paths.dataRoot, { recursive: true, mode: 0o711 });
  await writeFileDurably(paths.settingsFile, `${JSON.stringify(settings, null, 2)}\n`, 0o600);
}

export function newClusterId(): string {
  return randomBytes(8).toString('hex');
}
