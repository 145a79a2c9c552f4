import { networkIdOf } from '@atoll/docker-api';
import { failedPrecondition } from '@atoll/errors';
import { networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNetwork, NetworkBench, newContainerId, until } from './testing/index.ts';

let refuseConnect = false;
let bench: NetworkBench;
beforeAll(async () => {
  bench = await NetworkBench.start(3, {
    onOrder: ({ action }) => {
      if (refuseConnect && action === nodeV1.Action.CONNECT) throw failedPrecondition('no room for a link');
    },
  });
});
afterAll(() => bench.stop());

describe('connect and disconnect', () => {
  test('a container that does not run: the record, and its host in case it is prepared', async () => {
    const network = await createNetwork(bench.cluster.leader, { subnets: [{ cidr: '10.86.0.0/24' }] });
    const container = await bench.plain('h1');
    const { revision } = await bench.connect(network, container, { aliases: ['db'] });
    expect(await bench.record(container, revision)).toMatchObject({
      generation: 2n,
      endpoints: [
        { networkId: network.id, ipv4Address: '10.86.0.2', interfaceName: 'eth1', asked: { aliases: ['db'] } },
      ],
    });
    await expect(bench.connect(network, container)).rejects.toMatchObject({
      reason: 'permission-denied',
      message: `endpoint with name ${container.spec?.name} already exists in network ${network.name}`,
    });
    expect(bench.agent('h1').containers.journal.at(-1)).toBe(`CONNECT ${container.id}`);
    const after = await bench.disconnect(network, container);
    expect((await bench.record(container, after.revision)).endpoints).toEqual([]);
    await expect(bench.disconnect(network, container)).rejects.toMatchObject({
      message: `container ${container.id} is not connected to network ${network.name}`,
    });
  });

  test('a running container: the host is told, and interfaces keep their names', async () => {
    const networks = [
      await createNetwork(bench.cluster.leader),
      await createNetwork(bench.cluster.leader),
      await createNetwork(bench.cluster.leader),
    ];
    const [one, two, three] = networks as [networkV1.NetworkRecord, networkV1.NetworkRecord, networkV1.NetworkRecord];
    const container = await bench.plain('h2');
    await bench.start(container);
    await bench.connect(one, container);
    await bench.connect(two, container);
    await bench.disconnect(one, container);
    const { revision } = await bench.connect(three, container);
    const { endpoints } = await bench.record(container, revision);
    expect(endpoints.map(({ networkId, interfaceName }) => [networkId, interfaceName])).toEqual([
      [two.id, 'eth2'],
      [three.id, 'eth1'],
    ]);
    expect(bench.agent('h2').containers.journal.filter((line) => line === `CONNECT ${container.id}`)).toHaveLength(4);
    await until(() => bench.agent('h2').networks.members(one.id) === undefined);
  });

  test('asked twice with the same endpoint id it is one connection', async () => {
    const network = await createNetwork(bench.cluster.leader);
    const container = await bench.plain('h1');
    const id = newContainerId();
    const { revision } = await bench.connect(network, container, {}, id);
    expect(await bench.connect(network, container, {}, id)).toEqual({ revision });
    expect(await bench.record(container, revision)).toMatchObject({ endpoints: [{ endpointId: id }] });
    await expect(bench.connect(network, container, {}, newContainerId())).rejects.toMatchObject({
      reason: 'permission-denied',
    });
    await expect(bench.connect(network, await bench.plain('h1'), {}, 'short')).rejects.toMatchObject({
      message: 'endpoint id "short" is not 64 hex digits',
    });
  });

  describe('the default bridge', () => {
    const bridge = networkV1.NetworkRecord.fromPartial({ id: networkIdOf('bridge'), name: 'bridge' });

    test('is left by a container that was made there, and joined again, with the first interface that is free', async () => {
      const network = await createNetwork(bench.cluster.leader);
      const container = await bench.plain('h1');
      await bench.start(container);
      await bench.connect(network, container);
      const left = await bench.record(container, (await bench.disconnect(bridge, container)).revision);
      expect(left).toMatchObject({ defaultBridge: { connected: false }, endpoints: [{ interfaceName: 'eth1' }] });
      await expect(bench.disconnect(bridge, container)).rejects.toMatchObject({
        reason: 'failed-precondition',
        message: `container ${container.id} is not connected to network bridge`,
      });
      const id = newContainerId();
      const { revision } = await bench.connect(bridge, container, { macAddress: '02-AA-00-00-00-01' }, id);
      expect(await bench.record(container, revision)).toMatchObject({
        defaultBridge: { connected: true, endpointId: id, interfaceName: 'eth0', macAddress: '02:aa:00:00:00:01' },
      });
      expect(await bench.connect(bridge, container, {}, id)).toEqual({ revision });
      await expect(bench.connect(bridge, container)).rejects.toMatchObject({
        reason: 'permission-denied',
        message: `endpoint with name ${container.spec?.name} already exists in network bridge`,
      });
      const orders = bench.agent('h1').containers.journal.filter((line) => line === `CONNECT ${container.id}`);
      expect(orders).toHaveLength(3);
    });

    test.each<[string, Parameters<NetworkBench['connect']>[2], RegExp]>([
      [
        'an address',
        { ipv4Address: '10.1.2.3' },
        /user specified IP address is supported on user defined networks only/,
      ],
      [
        'aliases',
        { aliases: ['db'] },
        /network-scoped alias is supported only for containers in user defined networks/,
      ],
      ['a MAC address of a group', { macAddress: '01:00:00:00:00:00' }, /EndpointConfig.MacAddress/],
    ])('does not give %s', async (_what, asked, message) => {
      const container = await bench.plain('h1');
      const { revision } = await bench.disconnect(bridge, container);
      await expect(bench.connect(bridge, container, asked)).rejects.toMatchObject({
        reason: 'invalid-argument',
        message,
      });
      expect(await bench.record(container, revision)).toMatchObject({ defaultBridge: { connected: false } });
    });

    test('what the host refuses is put back', async () => {
      const container = await bench.plain('h3');
      await bench.start(container);
      refuseConnect = true;
      try {
        await expect(bench.disconnect(bridge, container)).rejects.toMatchObject({ message: 'no room for a link' });
      } finally {
        refuseConnect = false;
      }
      const { revision } = await bench.disconnect(bridge, container);
      expect((await bench.record(container, revision)).defaultBridge).toMatchObject({ connected: false });
    });
  });

  test('what the host refuses is put back', async () => {
    const network = await createNetwork(bench.cluster.leader, { subnets: [{ cidr: '10.87.0.0/24' }] });
    const container = await bench.plain('h3');
    await bench.start(container);
    refuseConnect = true;
    try {
      await expect(bench.connect(network, container)).rejects.toMatchObject({ message: 'no room for a link' });
      await until(() => bench.view.containers.get(container.id)?.endpoints.length === 0);
      refuseConnect = false;
      await bench.connect(network, container, { ipv4Address: '10.87.0.2' });
      refuseConnect = true;
      await expect(bench.disconnect(network, container)).rejects.toMatchObject({ message: 'no room for a link' });
      await until(() => bench.view.containers.get(container.id)?.endpoints.length === 1);
      await expect(bench.on('h1', network.name, { ipv4Address: '10.87.0.2' })).rejects.toMatchObject({
        reason: 'conflict',
      });
    } finally {
      refuseConnect = false;
    }
    await bench.remove(container);
  });

  test.each(['host', 'none'])('mode %s is refused', async (mode) => {
    const network = await createNetwork(bench.cluster.leader);
    await expect(bench.connect(network, await bench.plain('h1', mode))).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
  });

  test('what does not exist', async () => {
    const network = await createNetwork(bench.cluster.leader);
    const container = await bench.plain('h1');
    await expect(bench.connect({ ...network, id: 'f00' }, container)).rejects.toMatchObject({ reason: 'not-found' });
    const nobody = { id: newContainerId() };
    await expect(bench.connect(network, nobody)).rejects.toMatchObject({ message: `No such container: ${nobody.id}` });
    await expect(bench.disconnect(network, nobody, true)).rejects.toMatchObject({
      message: `No such container: ${nobody.id}`,
    });
  });
});
