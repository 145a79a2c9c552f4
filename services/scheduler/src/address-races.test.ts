import { randomInt } from 'node:crypto';
import { hasReason } from '@atoll/errors';
import { type containerV1, networkV1, nodeV1 } from '@atoll/proto';
import { afterEach, expect, test } from 'vitest';
import type { DesiredView } from './testing/desired-view.ts';
import {
  createContainer,
  createNetwork,
  newContainerId,
  startTestCluster,
  type TestCluster,
  until,
  watchDesired,
} from './testing/index.ts';

let cluster: TestCluster | undefined;
let view: DesiredView | undefined;
afterEach(async () => {
  await view?.close();
  await cluster?.stop();
});

/** Numbers that are the same for the same seed (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Addresses a record has, and who is to be their only owner: the container, or the service all of whose containers share them. */
function ownedBy(record: containerV1.ContainerRecord | undefined): [address: string, owner: string][] {
  return (record?.endpoints ?? []).flatMap((endpoint) => {
    const key = (address: string): string => `${endpoint.networkId.slice(0, 6)} ${address}`;
    const { ipv4Address, ipv6Address, macAddress, virtualIpv4, virtualIpv6, serviceName } = endpoint;
    const own = [ipv4Address, ipv6Address, macAddress].filter(Boolean);
    const shared = [virtualIpv4, virtualIpv6].filter(Boolean);
    return [
      ...own.map((address): [string, string] => [key(address), record?.id ?? '']),
      ...shared.map((address): [string, string] => [key(address), serviceName]),
      // A service has one address in a network, whichever container says so.
      ...shared.map((address): [string, string] => [`${key(serviceName)} ${address.includes(':')}`, address]),
    ];
  });
}

/** Watches what is stored: who has which address, and whether anybody else had it at that moment. */
function watchAddresses(desired: DesiredView): {
  readonly held: ReadonlyMap<string, unknown>;
  readonly doubles: string[];
} {
  const held = new Map<string, { readonly owner: string; count: number }>();
  const doubles: string[] = [];
  desired.containers.onChange(({ previous, value }) => {
    for (const [key] of ownedBy(previous)) {
      const holder = held.get(key);
      if (holder && --holder.count === 0) held.delete(key);
    }
    for (const [key, owner] of ownedBy(value)) {
      const holder = held.get(key) ?? { owner, count: 0 };
      if (holder.owner !== owner) doubles.push(`${key}: ${holder.owner} and ${owner}`);
      holder.count++;
      held.set(key, holder);
    }
  });
  return { held, doubles };
}

const WORKERS = 6;
const STEPS = 60;
/** What a race, or a scheduler that is just being replaced, may answer. */
const EXPECTED = [
  'conflict',
  'not-found',
  'permission-denied',
  'resource-exhausted',
  'failed-precondition',
  'unavailable',
  'cancelled',
] as const;

test('no address is ever given twice, whatever comes at the same time', { timeout: 120_000 }, async () => {
  const seed = randomInt(2 ** 31);
  cluster = await startTestCluster({ agents: 0 });
  const started = cluster;
  await started.addReplica('s2');
  for (const id of ['h1', 'h2', 'h3']) await started.addAgent(id);
  view = await watchDesired(started.nats.url);
  const { held, doubles } = watchAddresses(view);
  const networks = [
    await createNetwork(started.leader, { subnets: [{ cidr: '10.90.0.0/27' }] }),
    await createNetwork(started.leader, { ipv6: true, subnets: [{ cidr: '10.91.0.0/28' }, { cidr: 'fd00:91::/120' }] }),
    await createNetwork(started.leader, { subnets: [{ cidr: '10.92.0.0/16', ipRange: '10.92.7.0/28' }] }),
  ];
  const live: string[] = [];
  const dishonoured: string[] = [];

  const worker = async (index: number): Promise<void> => {
    const pick = seeded(seed + index);
    const network = (): networkV1.NetworkRecord => networks[pick(networks.length)] as networkV1.NetworkRecord;
    const one = (): string => live[pick(live.length)] ?? '';
    const fixed = (of: networkV1.NetworkRecord): string =>
      pick(4) === 0 ? `${of.subnets[0]?.cidr.replace(/0\/\d+$/, '')}${2 + pick(12)}` : '';
    const steps = [
      async () => {
        const [first, second] = [network(), network()];
        const ipv4Address = fixed(first);
        const wanted =
          first === second
            ? [{ network: first.id, ipv4Address }]
            : [{ network: first.id, ipv4Address }, { network: second.name }];
        const { id, endpoints } = await createContainer(
          started.leader,
          {
            restartPolicy: pick(2) === 0 ? { name: 'always', maximumRetryCount: 0 } : undefined,
            network: { mode: first.name, endpoints: wanted, serviceName: ['', '', 'web', 'api'][pick(4)] ?? '' },
          },
          newContainerId(),
        );
        live.push(id);
        if (ipv4Address !== '' && endpoints[0]?.ipv4Address !== ipv4Address) dishonoured.push(`${id} ${ipv4Address}`);
      },
      async () => {
        const to = network();
        const endpoint = networkV1.EndpointSpec.fromPartial({ ipv4Address: fixed(to) });
        await started.leader.networks.connectContainer({
          networkId: to.id,
          containerId: one(),
          endpoint,
          endpointId: '',
        });
      },
      () => started.leader.networks.disconnectContainer({ networkId: network().id, containerId: one(), force: false }),
      () => started.leader.containers.startContainer({ id: one() }),
      async () => {
        const id = one();
        await started.leader.containers.removeContainer({ id, force: true, volumes: false });
        live.splice(live.indexOf(id), 1);
      },
      async () => {
        const id = `h${1 + pick(3)}`;
        const { DRAIN, ACTIVE } = nodeV1.NodeAvailability;
        await started.leader.nodes.updateNode({ id, availability: DRAIN });
        await started.leader.nodes.updateNode({ id, availability: ACTIVE });
      },
    ];
    const dice = [0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5] as const;
    for (let step = 0; step < STEPS; step++) {
      const run = steps[dice[pick(dice.length)] ?? 0];
      try {
        await run?.();
      } catch (error) {
        // Between two leaders nobody leads: the test's own `leader` says so.
        if (!hasReason(error, ...EXPECTED) && (error as Error).message !== 'no replica leads') throw error;
        if (!hasReason(error, 'conflict', 'permission-denied'))
          await until(() => started.replicas.some((r) => r.scheduler.serving));
      }
    }
  };

  const working = Promise.all(Array.from({ length: WORKERS }, (_, index) => worker(index)));
  await until(() => held.size > 20);
  await started.leader.stop();
  await until(() => started.replicas.some((replica) => replica.scheduler.serving));
  await working;
  expect({ seed, doubles, dishonoured }).toEqual({ seed, doubles: [], dishonoured: [] });

  // All that is given back can be given again: the smallest network once from end to end.
  const remove = (id: string) => started.leader.containers.removeContainer({ id, force: true, volumes: false });
  for (const { id } of [...view.containers.values()]) {
    await remove(id).catch((error: unknown) => {
      if (!hasReason(error, 'not-found')) throw error;
    });
  }
  const all: string[] = [];
  const small = networks[1]?.name ?? '';
  for (let number = 2; number <= 14; number++) {
    const made = await createContainer(started.leader, { network: { mode: small, endpoints: [{ network: small }] } });
    all.push(made.endpoints[0]?.ipv4Address ?? '');
  }
  expect({ seed, addresses: new Set(all).size }).toEqual({ seed, addresses: 13 });
});
