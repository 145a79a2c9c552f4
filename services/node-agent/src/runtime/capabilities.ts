import { invalidArgument } from '@atoll/errors';
import type { CapabilitySets } from './plan.ts';

/** Capability names in the kernel's order (linux/capability.h): the index is the number. */
export const CAPABILITY_NAMES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
] as const;

export type CapabilityName = (typeof CAPABILITY_NAMES)[number];

/** What Docker gives a container by default. CapBnd a80425fb. */
export const DOCKER_CAPABILITIES: readonly CapabilityName[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

/** Podman's default: Docker's without MKNOD, NET_RAW and AUDIT_WRITE; for build steps. CapBnd 800405fb. */
export const BUILD_CAPABILITIES: readonly CapabilityName[] = DOCKER_CAPABILITIES.filter(
  (name) => name !== 'MKNOD' && name !== 'NET_RAW' && name !== 'AUDIT_WRITE',
);

/** `CAP_` and letter case do not matter; throws `invalid-argument` for unknown names. */
export function parseCapability(text: string): CapabilityName {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  const known = CAPABILITY_NAMES.find((candidate) => candidate === name);
  if (known === undefined) throw invalidArgument(`unknown capability "${text}"`);
  return known;
}

/** Docker's `--cap-add` and `--cap-drop`: ALL is understood in both; drops go first, adds win. */
export function resolveCapabilities(
  add: readonly string[],
  drop: readonly string[],
  base: readonly CapabilityName[] = DOCKER_CAPABILITIES,
): ReadonlySet<CapabilityName> {
  const isAll = (text: string): boolean => text.toUpperCase() === 'ALL';
  const dropped = new Set(drop.filter((text) => !isAll(text)).map(parseCapability));
  const added = add.filter((text) => !isAll(text)).map(parseCapability);
  const start = add.some(isAll) ? CAPABILITY_NAMES : drop.some(isAll) ? [] : base;
  return new Set([...start.filter((name) => !dropped.has(name)), ...added]);
}

/** Bounding, permitted and effective get the set; inheritable and ambient stay empty. */
export function capabilitySets(names: Iterable<CapabilityName>): CapabilitySets {
  let bits = 0n;
  for (const name of names) bits |= 1n << BigInt(CAPABILITY_NAMES.indexOf(name));
  return { bounding: bits, permitted: bits, effective: bits, inheritable: 0n, ambient: 0n };
}
