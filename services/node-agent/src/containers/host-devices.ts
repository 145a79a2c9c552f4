import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from '../files/missing.ts';
import type { DeviceNode } from '../runtime/plan.ts';

const LEFT_OUT = new Set(['/dev/pts', '/dev/shm', '/dev/fd', '/dev/mqueue', '/dev/console', '/dev/ptmx']);

/** The device nodes of the host, as privileged containers get them. */
export async function hostDevices(folder = '/dev'): Promise<readonly DeviceNode[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry): Promise<readonly DeviceNode[]> => {
      const path = join(folder, entry.name);
      if (LEFT_OUT.has(path)) return [];
      if (entry.isDirectory()) return await hostDevices(path);
      if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
      const info = await unlessMissing(stat(path));
      if (!info) return [];
      return [deviceNode(path, info)];
    }),
  );
  return found.flat();
}

/** A device of the host, described for a container that has it at `path`. */
export function deviceNode(path: string, info: Stats): DeviceNode {
  return {
    path,
    type: info.isBlockDevice() ? 'b' : 'c',
    major: majorOf(info.rdev),
    minor: minorOf(info.rdev),
    mode: info.mode & 0o7777,
    uid: info.uid,
    gid: info.gid,
  };
}

/** Device numbers as makedev(3) packs them; below 2^32 here. */
function majorOf(device: number): number {
  return Math.floor(device / 256) % 4096;
}

function minorOf(device: number): number {
  return (device % 256) + Math.floor(device / 1_048_576) * 256;
}
