import { invalidArgument } from '@atoll/errors';
import type { Descriptor, Platform } from './descriptor.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  armhf: 'arm',
  armel: 'arm',
  i386: '386',
};
const PART = /^[A-Za-z0-9_.-]{1,64}$/;
const KNOWN_SYSTEMS = new Set(['linux', 'windows', 'darwin', 'freebsd']);

/** Reads `os/arch[/variant]`, `arch` or `os`; what is left out comes from `host`. Errors: invalid-argument. */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.toLowerCase().split('/');
  if (parts.length > 3 || !parts.every((part) => PART.test(part))) {
    throw invalidArgument(
      `"${text.slice(0, 100)}" is not a platform; write os/architecture[/variant], as in linux/amd64`,
    );
  }
  const [first = '', second, variant] = parts;
  if (second !== undefined) return normalizePlatform({ os: first, architecture: second, variant });
  if (KNOWN_SYSTEMS.has(first)) return normalizePlatform({ ...host, os: first });
  return normalizePlatform({ os: host.os, architecture: first });
}

/** One name an architecture; the variant everybody means is left out (arm64/v8, amd64/v1) or filled in (arm/v7). */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const given = platform.architecture.toLowerCase();
  const architecture = ARCHITECTURES[given] ?? given;
  const variant = platform.variant?.toLowerCase() || (given === 'armel' ? 'v6' : undefined);
  if (architecture === 'arm') return { os, architecture, variant: variant ?? 'v7' };
  const usual = architecture === 'arm64' ? ['v8', '8'] : architecture === 'amd64' ? ['v1'] : [];
  return variant === undefined || usual.includes(variant) ? { os, architecture } : { os, architecture, variant };
}

export function platformString(platform: Platform): string {
  const base = `${platform.os}/${platform.architecture}`;
  return platform.variant ? `${base}/${platform.variant}` : base;
}

/** How well `offered` runs where `wanted` is asked: 0 = not at all; more is better. A newer arm runs programs of an older one. */
export function platformScore(wanted: Platform, offered: Platform): number {
  const want = normalizePlatform(wanted);
  const have = normalizePlatform(offered);
  if (want.os !== have.os || want.architecture !== have.architecture) return 0;
  if (want.variant === have.variant) return 100;
  if (have.variant === undefined) return 50;
  const level = (variant: string | undefined): number => Number(variant?.replace(/^v/, '') ?? '1');
  return level(have.variant) < level(want.variant) ? 10 + level(have.variant) : 0;
}

/** The best manifest of an index for a platform, undefined when none runs there. */
export function selectManifest(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  let best: Descriptor | undefined;
  let bestScore = 0;
  for (const descriptor of manifests) {
    const score = descriptor.platform === undefined ? 0 : platformScore(wanted, descriptor.platform);
    if (score > bestScore) {
      best = descriptor;
      bestScore = score;
    }
  }
  return best;
}
