import { invalidArgument } from '@atoll/errors';
import type { HostConfigRequest } from './host-config-request.ts';

const MINIMUM_MEMORY = 6 * 1024 * 1024;

/**
 * Kernels since 5.4 take no limit of kernel memory alone: like docker, the request goes on without it and the client is told.
 * @throws invalid-argument in docker's words
 */
export function memoryWarnings(host: HostConfigRequest): readonly string[] {
  const { KernelMemory = 0, KernelMemoryTCP = 0 } = host;
  if (KernelMemory < 0 || (KernelMemory > 0 && KernelMemory < MINIMUM_MEMORY)) {
    throw invalidArgument('HostConfig.KernelMemory: Minimum kernel memory limit allowed is 6MB');
  }
  if (KernelMemoryTCP < 0) throw invalidArgument('invalid value for HostConfig.KernelMemoryTCP: want 0 or more');
  const discarded = (what: string): string =>
    `Your kernel does not support ${what} limit capabilities or the cgroup is not mounted. Limitation discarded.`;
  return [
    ...(KernelMemory > 0 ? [discarded('kernel memory')] : []),
    ...(KernelMemoryTCP > 0 ? [discarded('kernel memory TCP')] : []),
  ];
}
