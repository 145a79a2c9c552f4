import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { claimOf } from './claim.ts';
import { assignPorts } from './container-ports.ts';
import { PortAllocator } from './port-allocator.ts';

type ResourcesInput = Parameters<typeof containerV1.Resources.fromPartial>[0];
type NetworkInput = Parameters<typeof containerV1.NetworkSpec.fromPartial>[0];

describe('what a container reserves', () => {
  test.each<[string, ResourcesInput, number, number]>([
    ['nothing', {}, 0, 0],
    ['its limits', { memory: 100n, nanoCpus: 500_000_000n }, 100, 5e8],
    ['its reservation rather than its limit', { memory: 100n, memoryReservation: 40n }, 40, 0],
    ['quota by period', { cpuQuota: 50_000n, cpuPeriod: 25_000n }, 0, 2e9],
    ['quota by the default period', { cpuQuota: 50_000n }, 0, 5e8],
    ['nothing for an unlimited quota', { cpuQuota: -1n }, 0, 0],
  ])('%s', (_name, resources, memory, nanoCpus) => {
    const spec = containerV1.ContainerSpec.fromPartial({ resources });
    expect(claimOf(spec, [])).toEqual({ memory, nanoCpus, ports: [] });
  });
});

describe('ports', () => {
  const assign = (network: NetworkInput, inUse: (port: number) => boolean = () => false) =>
    assignPorts(containerV1.NetworkSpec.fromPartial(network), new PortAllocator(), inUse);
  const port = (containerPort: number, hostPort = 0, protocol = 'tcp') => ({ containerPort, hostPort, protocol });

  test('a port asked for by number stays, others are found and differ', () => {
    const [fixed, ...free] = assign({ ports: [port(80, 8080), port(81), port(82)] });
    expect(fixed?.hostPort).toBe(8080);
    expect(new Set(free.map((one) => one.hostPort)).size).toBe(2);
  });
  test('a port in use is passed over', () => {
    expect(assign({ ports: [port(80)] }, (one) => one !== 40_000)).toMatchObject([{ hostPort: 40_000 }]);
    expect(() => assign({ ports: [port(80)] }, () => true)).toThrow(
      expect.objectContaining({ reason: 'resource-exhausted' }),
    );
  });
  test('publish all adds exposed ports that nobody bound', () => {
    const ports = assign({ publishAll: true, ports: [port(80, 8080)], exposedPorts: ['80/tcp', '80/udp', '443'] });
    expect(ports.map((one) => `${one.containerPort}/${one.protocol}`)).toEqual(['80/tcp', '80/udp', '443/tcp']);
  });
  test.each(['', 'x', '0', '70000', '80/icmp'])('exposed port %j is refused', (exposed) => {
    expect(() => assign({ publishAll: true, exposedPorts: [exposed] })).toThrow(
      expect.objectContaining({ reason: 'invalid-argument' }),
    );
  });
  test.each(['host', 'none'])('network mode %s publishes nothing', (mode) => {
    expect(assign({ mode, ports: [port(80)] })).toEqual([]);
  });
});
