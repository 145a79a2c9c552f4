import { createLogger } from '@atoll/logging';
import { containerV1, networkV1 } from '@atoll/proto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { UserNetwork } from '../user/user-network.ts';
import { addressesOfName, nameOfAddress, scopeOf } from './name-lookup.ts';
import { ServiceChannel } from './service-channel.ts';
import { encodeServices, servicesOf } from './service-list.ts';
import { Services } from './services.ts';

type MemberWish = NonNullable<Parameters<typeof networkV1.Member.fromPartial>[0]>;
const id = (number: number): string => number.toString(16).padStart(64, '0');
const member = (number: number, service: string, more: MemberWish = {}): MemberWish => ({
  containerId: id(number),
  names: [`c${number}`],
  ipv4Address: `10.9.0.${number}`,
  macAddress: '02:42:00:00:00:01',
  running: true,
  serviceName: service,
  serving: service !== '',
  ...more,
});
const net = (letter: string, members: readonly MemberWish[]): UserNetwork => {
  const record = networkV1.NetworkRecord.fromPartial({ id: letter.repeat(64), name: `net-${letter}`, vni: 5 });
  const underlay = () => ({ address: '10.0.0.1', mtu: 1500, encapsulation: 50 });
  const network = new UserNetwork(record, { nodeId: 'n', underlay });
  network.apply(networkV1.NetworkState.fromPartial({ network: record, complete: true, members: [...members] }));
  return network;
};
const asking = (...networks: (UserNetwork | string)[]): containerV1.ContainerRecord =>
  containerV1.ContainerRecord.fromPartial({
    id: id(1),
    endpoints: networks.map((one) => ({ networkId: typeof one === 'string' ? one : one.record.id })),
  });
const finder = (...networks: UserNetwork[]) => {
  const known = new Map(networks.map((one) => [one.record.id, one]));
  return (wanted: string): UserNetwork | undefined => known.get(wanted);
};

const web = { virtualIpv4: '10.9.0.100', virtualIpv6: 'fd00::100' };
const a = net('a', [
  member(1, ''),
  member(2, 'web', { ...web, ipv6Address: 'fd00::2', names: ['web-1', 'web', 'api', 'off'] }),
  member(3, 'web', { ...web, ipv6Address: 'fd00::3' }),
  member(4, 'web', { ...web, serving: false }),
  member(5, 'off', { virtualIpv4: '10.9.0.101', serving: false }),
  member(6, 'lan'),
  member(7, '', { names: ['tasks.alone'] }),
]);
const b = net('b', [
  member(8, 'off', { virtualIpv4: '10.9.0.102', ipv4Address: '10.10.0.8' }),
  member(9, '', { names: ['web'] }),
]);
const scope = scopeOf(asking(a, b), finder(a, b));

describe('names of services', () => {
  test.each<[string, string, 4 | 6, readonly string[] | 'none' | undefined]>([
    ['its own address, before the containers that are named so', 'web', 4, ['10.9.0.100']],
    ['the same by IPv6', 'web', 6, ['fd00::100']],
    ['with the network', 'web.net-a', 4, ['10.9.0.100']],
    ['its containers, those that serve', 'tasks.web', 4, ['10.9.0.2', '10.9.0.3']],
    ['the same by IPv6 with the network', 'tasks.web.net-a', 6, ['fd00::2', 'fd00::3']],
    ['nobody serves in the first network, though a container that runs is named so', 'off', 4, ['10.9.0.102']],
    ['nobody serves in this network', 'off.net-a', 4, 'none'],
    ['nobody serves: its containers', 'tasks.off.net-a', 4, 'none'],
    ['a network without such addresses: the containers', 'lan', 4, ['10.9.0.6']],
    ['a family without one', 'lan', 6, []],
    ['a container is named as the containers of a service would be', 'tasks.alone', 4, ['10.9.0.7']],
    ['no service', 'tasks.nobody', 4, undefined],
  ])('%s', (_what, name, version, want) => {
    const found = addressesOfName(scope, name, version, () => true);
    expect(Array.isArray(found) ? [...found].sort() : found).toEqual(want);
  });

  test('where its address is not translated: the containers', () => {
    expect(addressesOfName(scope, 'web', 4, () => false)).toEqual(['10.9.0.2', '10.9.0.3']);
    expect(addressesOfName(scope, 'web', 6, (address) => !address.includes(':'))).toEqual(['fd00::2', 'fd00::3']);
  });

  test.each([
    ['an address of a service', '100.0.9.10.in-addr.arpa', ['web.net-a']],
    ['by IPv6', `0.0.1.${'0.'.repeat(25)}0.0.d.f.ip6.arpa`, ['web.net-a']],
    ['nobody serves', '101.0.9.10.in-addr.arpa', undefined],
    ['a container of it', '2.0.9.10.in-addr.arpa', ['web-1.net-a']],
  ])('reverse: %s', (_what, name, want) => {
    expect(nameOfAddress(scope, name)).toEqual(want);
  });
});

describe('what a shim is told', () => {
  test('all addresses with those that serve, also none, in the order of ids', () => {
    expect(servicesOf(asking(a, b), finder(a, b))).toEqual({
      leftOut: 0,
      addresses: [
        { service: 'off', address: '10.9.0.101', backends: [] },
        { service: 'web', address: '10.9.0.100', backends: ['10.9.0.2', '10.9.0.3'] },
        { service: 'web', address: 'fd00::100', backends: ['fd00::2', 'fd00::3'] },
        { service: 'off', address: '10.9.0.102', backends: ['10.10.0.8'] },
      ],
    });
  });

  test('changes of members', () => {
    const own = net('c', [member(2, 'web', web), member(3, 'web', web)]);
    const change = (state: Parameters<typeof networkV1.NetworkState.fromPartial>[0]): readonly string[] | undefined => {
      own.apply(networkV1.NetworkState.fromPartial({ network: own.record, ...state }));
      return servicesOf(asking(own), finder(own))?.addresses[0]?.backends;
    };
    expect(change({ members: [member(3, 'web', { ...web, serving: false })] })).toEqual(['10.9.0.2']);
    expect(change({ members: [member(3, 'web', web)], gone: [id(2)] })).toEqual(['10.9.0.3']);
    expect(change({ members: [member(3, '')] })).toBeUndefined();
  });

  test('nothing while a network is not known', () => {
    expect(servicesOf(asking(a, 'f'.repeat(64)), finder(a))).toBeUndefined();
  });

  test('bytes', () => {
    const bytes = encodeServices({
      leftOut: 0,
      addresses: [
        { service: 'web', address: '10.9.0.100', backends: ['10.9.0.2'] },
        { service: 'web', address: 'fd00::1', backends: [] },
      ],
    });
    expect(bytes.toString('hex')).toBe('0200040a090064010a09000206fd00000000000000000000000000000100');
  });

  test.each([
    ['more backends', 1, 70, [1, 64, 6]],
    ['more services', 70, 1, [64, 64, 6]],
    ['more in all', 40, 64, [32, 2_048, 8]],
  ])('%s than a shim takes: the first', (_what, services, backends, want) => {
    const members = Array.from({ length: services * backends }, (_, at) => {
      const service = Math.floor(at / backends);
      const own = `10.1.${at >> 8}.${at & 255}`;
      return member(at + 10, `s${String(service).padStart(2, '0')}`, {
        virtualIpv4: `10.8.0.${service}`,
        ipv4Address: own,
      });
    });
    const many = net('d', members);
    const list = servicesOf(asking(many), finder(many));
    const all = list?.addresses.reduce((sum, one) => sum + one.backends.length, 0);
    expect([list?.addresses.length, all, list?.leftOut]).toEqual(want);
    expect(list?.addresses[0]?.backends[0]).toBe('10.1.0.0');
  });

  test('what is left out, and a shim that cannot, is logged once', () => {
    const many = net(
      'e',
      Array.from({ length: 65 }, (_, at) => member(at + 10, 'web', { ...web, ipv4Address: `10.1.0.${at}` })),
    );
    const logger = createLogger({ service: 'test', level: 'silent' });
    const warn = vi.spyOn(logger, 'warn');
    const services = new Services({ networks: { get: finder(many) }, container: () => asking(many), logger });
    for (let turn = 0; turn < 2; turn++) services.of(id(1));
    expect(warn).toHaveBeenCalledTimes(1);
    for (let turn = 0; turn < 2; turn++) services.refused(id(1), 93);
    expect(warn).toHaveBeenCalledTimes(2);
  });
});

describe('a shim', () => {
  afterEach(() => vi.useRealTimers());

  function channel(find: () => UserNetwork | undefined) {
    const sent: string[] = [];
    const refused: (number | undefined)[] = [];
    const own = new ServiceChannel(
      id(1),
      { of: () => servicesOf(asking(a), find), refused: (_id, errno) => refused.push(errno) },
      (list) => sent.push(list.toString('hex')),
    );
    const state = async (): Promise<string> => {
      const done = own.settled().then(() => 'settled');
      return await Promise.race([done, new Promise<string>((resolve) => setImmediate(resolve, 'waits'))]);
    };
    return { own, sent, refused, state };
  }

  test('translates what it has confirmed; names wait for that', async () => {
    const { own, sent, state } = channel(() => a);
    own.refresh();
    own.refresh();
    expect([sent.length, await state(), own.translates('10.9.0.100')]).toEqual([1, 'waits', false]);
    own.answered(0);
    expect([await state(), own.translates('10.9.0.100'), own.translates('10.9.0.2')]).toEqual(['settled', true, false]);
    own.refresh();
    expect([sent.length, await state()]).toEqual([1, 'settled']);
  });

  test('is told one list at a time', async () => {
    let known: UserNetwork = a;
    const { own, sent, state } = channel(() => known);
    own.refresh();
    known = net('a', [member(2, 'web', web)]);
    own.refresh();
    known = net('a', [member(3, 'web', web)]);
    own.refresh();
    expect(sent).toHaveLength(1);
    own.answered(0);
    expect([sent.length, await state()]).toEqual([2, 'waits']);
    expect(sent[1]).toContain('0a090003');
    own.answered(0);
    expect(await state()).toBe('settled');
  });

  test('that refuses translates nothing, and is told of the next change', async () => {
    let known: UserNetwork = a;
    const { own, sent, refused, state } = channel(() => known);
    own.refresh();
    own.answered(93);
    expect([refused, await state(), own.translates('10.9.0.100')]).toEqual([[93], 'settled', false]);
    known = net('a', [member(2, 'web', web)]);
    own.refresh();
    own.answered(0);
    expect([sent.length, own.translates('10.9.0.100')]).toEqual([2, true]);
  });

  test('that never answers holds names up once', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { own, refused, state } = channel(() => a);
    own.refresh();
    expect(await state()).toBe('waits');
    vi.advanceTimersByTime(1_000);
    expect([await state(), refused]).toEqual(['settled', [undefined]]);
    expect(await state()).toBe('settled');
  });

  test('is told of none at once, which nobody waits for, and nothing while nothing is known', async () => {
    let known: UserNetwork | undefined;
    const { own, sent, state } = channel(() => known);
    own.refresh();
    expect([sent, await state()]).toEqual([[], 'settled']);
    known = net('a', []);
    expect([await state(), sent]).toEqual(['settled', ['0000']]);
  });

  test('that answers what it was not asked is none', () => {
    expect(() => channel(() => a).own.answered(0)).toThrow(RangeError);
  });
});
