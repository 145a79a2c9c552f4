import { nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainer, createNetwork, NetworkBench, until } from './testing/index.ts';

const key = (letter: string) => ({ publicKey: `${letter.repeat(43)}=`, port: 7475 });

let bench: NetworkBench;
beforeAll(async () => {
  bench = await NetworkBench.start(0);
  for (const id of ['h1', 'h2']) await bench.cluster.addAgent(id, { facts: { wireguard: key(id.slice(1)) } });
});
afterAll(() => bench.stop());

const seen = (host: string, network: string, container: string) =>
  bench
    .agent(host)
    .networks.members(network)
    ?.find(({ containerId }) => containerId === container);

async function whileJoined(name: string, facts: Partial<nodeV1.NodeFacts>, use: () => Promise<void>): Promise<void> {
  const host = await bench.cluster.addAgent(name, { facts });
  try {
    await use();
  } finally {
    await host.close();
    await bench.cluster.leader.nodes.removeNode({ id: name, force: true });
  }
}

describe('an encrypted network', () => {
  test.each([
    ['bridge', ''],
    ['overlay', 'true'],
  ])('is made when every ready host can encrypt, and says so: driver %s, %o', async (driver, encrypted) => {
    const network = await createNetwork(bench.cluster.leader, { driver, options: { encrypted } });
    expect(network.options).toEqual({ encrypted });
  });

  test("members carry the keys of their hosts, other networks' do not; a new key of a host is told", async () => {
    const network = await createNetwork(bench.cluster.leader, { options: { encrypted: '' } });
    const plain = await createNetwork(bench.cluster.leader);
    const [a, b] = [await bench.on('h1', network.name), await bench.on('h2', network.name)];
    await bench.connect(plain, a);
    await bench.connect(plain, b);
    await until(() => seen('h2', network.id, a.id) !== undefined && seen('h2', plain.id, a.id) !== undefined);
    expect(seen('h2', network.id, a.id)?.wireguard).toEqual(key('1'));
    expect(seen('h2', network.id, b.id)?.wireguard).toEqual(key('2'));
    expect(seen('h2', plain.id, a.id)?.wireguard).toBeUndefined();
    await bench.agent('h1').close();
    await bench.cluster.addAgent('h1', { facts: { wireguard: key('n') } });
    await until(() => seen('h2', network.id, a.id)?.wireguard?.publicKey === key('n').publicKey);
    await bench.remove(a);
    await bench.remove(b);
  });

  test('has no member on a host that cannot, which came later; the reason is said', async () => {
    const network = await createNetwork(bench.cluster.leader, { name: 'secret', options: { encrypted: '' } });
    await whileJoined('h3', { noEncryption: 'the program wg is not installed' }, async () => {
      const why = 'h3: the program wg is not installed';
      await expect(bench.on('h3', 'secret')).rejects.toMatchObject({
        reason: 'failed-precondition',
        message: expect.stringContaining(`1 cannot encrypt (network secret is encrypted; ${why})`),
      });
      const elsewhere = { network: { mode: 'default', endpoints: [] } };
      const plain = await createContainer(bench.cluster.leader, {
        ...elsewhere,
        constraints: ['node.hostname==h3'],
      });
      await expect(bench.connect(network, plain)).rejects.toMatchObject({
        reason: 'failed-precondition',
        message: 'network secret is encrypted, and host h3 cannot encrypt: the program wg is not installed',
      });
      // It has the fewest containers, and yet is not chosen.
      const wish = { network: { mode: network.id, endpoints: [{ network: network.id }] } };
      const placed = await Promise.all([1, 2, 3].map(() => createContainer(bench.cluster.leader, wish)));
      expect(placed.map(({ nodeId }) => nodeId)).not.toContain('h3');
      await expect(createNetwork(bench.cluster.leader, { options: { encrypted: 'true' } })).rejects.toMatchObject({
        reason: 'failed-precondition',
        message: expect.stringContaining('h3 (the program wg is not installed)'),
      });
      for (const container of [plain, ...placed]) await bench.remove(container);
    });
    await createNetwork(bench.cluster.leader, { options: { encrypted: 'true' } });
  });

  test('a volume does not take its container along to a host that cannot', async () => {
    await createNetwork(bench.cluster.leader, { name: 'mine', options: { encrypted: '' } });
    const { leader } = bench.cluster;
    const container = await createContainer(leader, {
      constraints: ['node.hostname!=h9'],
      network: { mode: 'mine', endpoints: [{ network: 'mine' }] },
      mounts: [{ type: 'volume', source: 'data', target: '/v' }],
    });
    await whileJoined('h3', {}, async () => {
      const asked = { name: 'data', node: 'h3', recreate: true, with: [] };
      const move = async (): Promise<void> => {
        for await (const _ of leader.volumes.moveVolume(asked)) {
          // Told until it is refused.
        }
      };
      await expect(move()).rejects.toMatchObject({
        reason: 'failed-precondition',
        message: expect.stringMatching(
          /cannot go along with volume data: .*1 cannot encrypt \(network mine is encrypted/,
        ),
      });
    });
    await bench.remove(container);
  });

  test('does not follow a container to a host that cannot when its own is lost', async () => {
    const network = await createNetwork(bench.cluster.leader, { options: { encrypted: '' } });
    const { leader } = bench.cluster;
    const lost = await bench.cluster.addAgent('h4', { facts: { wireguard: key('4') } });
    const container = await createContainer(leader, {
      constraints: ['node.hostname!=h1', 'node.hostname!=h2'],
      restartPolicy: { name: 'always' },
      network: { mode: network.name, endpoints: [{ network: network.name }] },
    });
    expect(container.nodeId).toBe('h4');
    await bench.start(container);
    await lost.close();
    await whileJoined('h5', {}, async () => {
      await until(async () => {
        const { statuses } = await leader.nodes.listNodes({});
        return statuses.some(({ id, readiness }) => id === 'h4' && readiness === nodeV1.NodeReadiness.DOWN);
      });
      const later = await bench.cluster.addAgent('h6', { facts: { wireguard: key('6') } });
      await until(() => bench.view.containers.get(container.id)?.nodeId === 'h6');
      expect(bench.agent('h5').containers.get(container.id)).toBeUndefined();
      await bench.remove(container);
      await later.close();
    });
    for (const id of ['h4', 'h6']) await leader.nodes.removeNode({ id, force: true });
  });
});
