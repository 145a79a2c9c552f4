import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { portBindings, portMap, portSummaries } from './ports-view.ts';

describe('published ports of a running container', () => {
  const port = { containerPort: 80, protocol: 'tcp', hostPort: 8080 };
  const shown = { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }] };
  test.each<[string, string[], object, number | undefined]>([
    ['in a network that spans hosts', ['bridge'], shown, 8080],
    ['also in a macvlan network', ['macvlan', 'bridge'], shown, 8080],
    ['in a macvlan network only', ['macvlan'], { '80/tcp': null }, undefined],
  ])('%s', (_name, drivers, map, publicPort) => {
    const network = { mode: 'net', ports: [port], exposedPorts: ['80/tcp'] };
    const spec = containerV1.ContainerSpec.fromPartial({ network });
    const view = {
      record: containerV1.ContainerRecord.fromPartial({
        nodeId: 'n1',
        spec,
        ports: [port],
        endpoints: drivers.map((driver) => ({ driver })),
      }),
      spec,
      status: containerV1.ContainerStatus.fromPartial({ nodeId: 'n1', state: containerV1.ContainerState.RUNNING }),
      node: undefined,
    };
    expect(portMap(view)).toEqual(map);
    expect(portSummaries(view).map(({ PublicPort }) => PublicPort)).toEqual([publicPort]);
    // What was asked for is shown all the same.
    expect(portBindings(view)).toEqual({ '80/tcp': [{ HostIp: '', HostPort: '8080' }] });
  });
});
