import { setTimeout as sleep } from 'node:timers/promises';
import { type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainer, createNetwork, NetworkBench, until } from './testing/index.ts';

let bench: NetworkBench;
beforeAll(async () => {
  bench = await NetworkBench.start(3);
});
afterAll(() => bench.stop());

describe('what hosts are told', () => {
  test('all of a network before the first order, then changes, then that it is unused', async () => {
    const network = await createNetwork(bench.cluster.leader, { subnets: [{ cidr: '10.88.0.0/24' }] });
    const line = (host: string) => bench.agent(host).networks.journal.filter((entry) => entry.includes(network.id));
    const a = await bench.on('h1', network.name, { aliases: ['web'] });
    const b = await bench.on('h2', network.name);
    await until(() => line('h1').length === 2 && line('h2').length === 1);
    expect(line('h1')).toEqual([`all ${network.id} 1`, `change ${network.id} 1 0`]);
    expect(line('h2')).toEqual([`all ${network.id} 2`]);
    expect(line('h3')).toEqual([]);
    const short = a.id.slice(0, 12);
    expect(
      bench
        .agent('h2')
        .networks.members(network.id)
        ?.find(({ containerId }) => containerId === a.id),
    ).toEqual({
      containerId: a.id,
      nodeId: 'h1',
      hostIp: '127.0.0.1',
      ipv4Address: '10.88.0.2',
      ipv6Address: '',
      macAddress: '02:42:0a:58:00:02',
      names: [a.spec?.name, 'web', short],
      running: false,
      wireguard: undefined,
      serviceName: '',
      virtualIpv4: '',
      virtualIpv6: '',
      serving: false,
    });
    const seen = (host: string, id: string) =>
      bench
        .agent(host)
        .networks.members(network.id)
        ?.find(({ containerId }) => containerId === id);
    await bench.start(a);
    await until(() => seen('h2', a.id)?.running === true);
    await bench.cluster.leader.containers.renameContainer({ id: a.id, name: 'renamed-one' });
    await until(() => seen('h2', a.id)?.names[0] === 'renamed-one');
    bench.agent('h1').exit(a.id, 1);
    await until(() => seen('h2', a.id)?.running === false);
    await bench.remove(a);
    await until(() => seen('h2', a.id) === undefined);
    await until(() => line('h1').at(-1) === `unused ${network.id}`);
    await bench.remove(b);
    await until(() => line('h2').at(-1) === `unused ${network.id}`);
  });

  test('a host that comes back hears of all its networks, and of those it has no member of any more', async () => {
    const networks = [await createNetwork(bench.cluster.leader), await createNetwork(bench.cluster.leader)];
    const [stays, goes] = networks as [networkV1.NetworkRecord, networkV1.NetworkRecord];
    const host = await bench.cluster.addAgent('h4');
    const a = await bench.on('h4', stays.name);
    const b = await bench.on('h4', goes.name);
    const c = await bench.on('h1', stays.name);
    await host.stop();
    await until(async () => {
      const { statuses } = await bench.cluster.leader.nodes.listNodes({});
      return statuses.some(({ id, readiness }) => id === 'h4' && readiness === nodeV1.NodeReadiness.DOWN);
    });
    await bench.cluster.leader.containers.removeContainer({ id: b.id, force: true, volumes: false });
    await bench.remove(c);
    host.start();
    await until(() => host.networks.members(goes.id) === undefined);
    expect(host.networks.members(stays.id)?.map(({ containerId }) => containerId)).toEqual([a.id]);
    await until(() => host.containers.get(b.id) === undefined);
    await bench.remove(a);
    await host.close();
    await bench.cluster.leader.nodes.removeNode({ id: 'h4', force: true });
  });

  test('an address stays with a container that is placed anew, and everybody hears where it is', async () => {
    const network = await createNetwork(bench.cluster.leader);
    const host = await bench.cluster.addAgent('h5');
    const watcher = await bench.on('h1', network.name);
    const moving = await createContainer(bench.cluster.leader, {
      constraints: ['node.hostname!=h1'],
      restartPolicy: { name: 'always', maximumRetryCount: 0 },
      network: { mode: network.name, endpoints: [{ network: network.name }] },
    });
    await bench.start(moving);
    await bench.cluster.leader.nodes.updateNode({ id: moving.nodeId, availability: nodeV1.NodeAvailability.DRAIN });
    const member = () =>
      bench
        .agent('h1')
        .networks.members(network.id)
        ?.find(({ containerId }) => containerId === moving.id);
    await until(() => member()?.nodeId !== moving.nodeId && member()?.running === true);
    expect(member()?.ipv4Address).toBe(moving.endpoints[0]?.ipv4Address);
    await bench.cluster.leader.nodes.updateNode({ id: moving.nodeId, availability: nodeV1.NodeAvailability.ACTIVE });
    for (const one of [moving, watcher]) await bench.remove(one);
    await host.close();
    await bench.cluster.leader.nodes.removeNode({ id: 'h5', force: true });
  });

  test('who has no member of a network hears nothing of it', async () => {
    const network = await createNetwork(bench.cluster.leader);
    const containers = await Promise.all(Array.from({ length: 5 }, () => bench.on('h1', network.name)));
    for (const container of containers) await bench.remove(container);
    expect(bench.agent('h3').networks.journal.filter((line) => line.includes(network.id))).toEqual([]);
  });
});

describe('who starts, or is connected, speaks when the other hosts know its place', () => {
  const follower = () => bench.agent('h1').networks;
  const place = async (network: networkV1.NetworkRecord) => {
    const there = await bench.on('h1', network.name);
    let follow: () => void = () => undefined;
    follower().following = new Promise((resolve) => {
      follow = resolve;
    });
    return { there, follow };
  };
  const over = async (work: Promise<unknown>): Promise<boolean> =>
    await Promise.race([work.then(() => true), sleep(100).then(() => false)]);

  test.each(['start', 'connect'] as const)('%s waits for those that have members', async (action) => {
    const network = await createNetwork(bench.cluster.leader);
    const { there, follow } = await place(network);
    const one = action === 'start' ? await bench.on('h2', network.name) : await bench.plain('h2');
    const work = action === 'start' ? bench.start(one) : bench.start(one).then(() => bench.connect(network, one));
    expect(await over(work)).toBe(false);
    follow();
    await work;
    for (const container of [there, one]) await bench.remove(container);
  });

  test('not for long, and not for one whose session has ended', async () => {
    const network = await createNetwork(bench.cluster.leader);
    const { there, follow } = await place(network);
    const one = await bench.on('h2', network.name);
    await bench.start(one);
    follow();
    follower().following = Promise.resolve();
    const host = await bench.cluster.addAgent('h6');
    const gone = await bench.on('h6', network.name);
    host.networks.following = new Promise(() => undefined);
    const another = await bench.on('h2', network.name);
    const [work] = [bench.start(another), await host.stop()];
    await work;
    for (const container of [there, one, another]) await bench.remove(container);
    await host.close();
    await bench.cluster.leader.nodes.removeNode({ id: 'h6', force: true });
    await bench.remove(gone).catch(() => undefined);
  });
});

test('a host keeps a network for a while: who comes back finds it, and its removal ends that', async () => {
  const patient = await NetworkBench.start(2, {}, { networkLingerMs: 60_000 });
  try {
    const network = await createNetwork(patient.cluster.leader);
    const lines = () => patient.agent('h1').networks.journal;
    const other = await patient.on('h2', network.name);
    await patient.remove(await patient.on('h1', network.name));
    await patient.remove(other);
    const back = await patient.on('h1', network.name);
    await until(() => lines().length === 2);
    expect(lines()).toEqual([`all ${network.id} 2`, `all ${network.id} 1`]);
    await patient.remove(back);
    await patient.cluster.leader.networks.removeNetwork({ id: network.id });
    await until(() => lines().at(-1) === `unused ${network.id}`);
  } finally {
    await patient.stop();
  }
});
