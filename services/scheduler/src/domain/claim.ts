import type { containerV1 } from '@atoll/proto';
import type { Claim, HostPort } from '@atoll/scheduling';
import { isClusterWide } from './port-scope.ts';

/** What a container reserves of its host: the memory reservation, else the limit; CPUs from `--cpus` or quota and period. */
export function claimOf(spec: containerV1.ContainerSpec, ports: readonly containerV1.PortBinding[]): Claim {
  const resources = spec.resources;
  return {
    memory: resources ? Number(resources.memoryReservation || resources.memory) : 0,
    nanoCpus: resources ? nanoCpusOf(resources) : 0,
    // One that all hosts publish is no reason for one of them.
    ports: ports.filter((port) => port.hostPort !== 0 && !isClusterWide(port)).map(hostPortOf),
  };
}

export function hostPortOf(port: containerV1.PortBinding): HostPort {
  return { ip: port.hostIp, port: port.hostPort, protocol: port.protocol || 'tcp' };
}

const DEFAULT_PERIOD_US = 100_000;

function nanoCpusOf(resources: containerV1.Resources): number {
  if (resources.nanoCpus > 0n) return Number(resources.nanoCpus);
  if (resources.cpuQuota <= 0n) return 0;
  return Math.round((Number(resources.cpuQuota) * 1e9) / (Number(resources.cpuPeriod) || DEFAULT_PERIOD_US));
}
