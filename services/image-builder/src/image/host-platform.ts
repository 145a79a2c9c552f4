import type { PlatformFields } from './stage-state.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** What this cluster builds for: all its hosts are of the architecture this process runs on. */
export function hostPlatform(architecture: string = process.arch): PlatformFields {
  return { os: 'linux', architecture: ARCHITECTURES[architecture] ?? architecture };
}
