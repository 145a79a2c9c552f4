import { networkV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { planEndpoints } from './endpoint-links.ts';
import { refusal } from './macvlan-network.ts';
import { checkState } from './membership.ts';

const network = (more: object = {}): networkV1.NetworkRecord =>
  networkV1.NetworkRecord.fromPartial({
    id: 'a'.repeat(64),
    name: 'lan',
    driver: 'macvlan',
    options: { parent: 'eth1' },
    subnets: [{ cidr: '10.1.0.0/24', gateway: '10.1.0.1' }],
    ...more,
  });

describe('an interface for links', () => {
  const up = { ifname: 'eth1', flags: ['UP'], addr_info: [{ local: '10.0.0.7' }] };
  test.each<[string, 'bridge' | 'passthru', object[], RegExp | undefined]>([
    ['that is up', 'bridge', [up], undefined],
    ['that is not there', 'bridge', [{ ...up, ifname: 'eth0' }], /no interface eth1/],
    ['that is down', 'bridge', [{ ...up, flags: ['BROADCAST'] }], /eth1 .* is not up/],
    ['of its own', 'passthru', [{ ...up, addr_info: [{ local: '10.0.0.8' }] }], undefined],
    ['the host is reached by', 'passthru', [up], /would take interface eth1 from this host/],
  ])('%s, mode %s', (_name, mode, links, wanted) => {
    const reason = refusal({ parent: 'eth1', mode }, links as Parameters<typeof refusal>[1], '10.0.0.7');
    if (wanted) expect(reason).toMatch(wanted);
    else expect(reason).toBeUndefined();
  });

  test.each([
    ['a path', { parent: '../eth1' }],
    ['no name', {}],
    ['an unknown mode', { parent: 'eth1', macvlan_mode: 'open' }],
  ])('%s is not taken from the scheduler', (_name, options) => {
    const state = networkV1.NetworkState.fromPartial({ network: network({ options }) });
    expect(() => checkState(state)).toThrow('driver "macvlan"');
  });
});

describe('the plan of a container', () => {
  const endpoint = networkV1.Endpoint.fromPartial({
    networkId: 'a'.repeat(64),
    endpointId: 'e'.repeat(64),
    ipv4Address: '10.1.0.2',
    ipv4PrefixLength: 24,
    ipv4Gateway: '10.1.0.1',
    macAddress: '02:42:0a:01:00:02',
    interfaceName: 'eth1',
  });
  const bridge = {
    address: '10.88.0.2',
    prefixLength: 24,
    gateway: '10.88.0.1',
    macAddress: '02:42:0a:58:00:02',
    interfaceName: 'eth0',
  };

  test('has the link with its parent and mode, and no ports of the host lead to it', () => {
    const placed = { endpoint, network: network({ options: { parent: 'eth1', macvlan_mode: 'vepa' } }), mtu: 0 };
    const { endpoints, published } = planEndpoints([placed], undefined, 'dns.sock');
    expect(endpoints.links).toEqual([
      {
        parent: 'eth1',
        mode: 'vepa',
        hostInterface: `atv${'e'.repeat(12)}`,
        containerInterface: 'eth1',
        macAddress: '02:42:0a:01:00:02',
        mtu: 0,
        addresses: ['10.1.0.2/24'],
      },
    ]);
    expect(endpoints.gateways).toEqual([{ interface: 'eth1', address: '10.1.0.1' }]);
    expect(endpoints.dns).toBe('dns.sock');
    expect(published).toEqual({ ipv4: '', ipv6: '' });
  });

  test.each<[string, object, number, string, string]>([
    ['first by name', {}, 0, 'eth0', '10.88.0.2'],
    ['highest priority', {}, 1, 'eth1', ''],
    ['internal', { internal: true }, 1, 'eth0', '10.88.0.2'],
    ['without a gateway', { subnets: [{ cidr: '10.1.0.0/24' }] }, 1, 'eth0', '10.88.0.2'],
  ])('beside the default bridge, %s', (_name, more, gwPriority, route, ipv4) => {
    const record = network(more);
    const asked = networkV1.EndpointSpec.fromPartial({ gwPriority });
    const placed = {
      endpoint: { ...endpoint, asked, ipv4Gateway: record.subnets[0]?.gateway ?? '' },
      network: record,
      mtu: 0,
    };
    const { endpoints, published } = planEndpoints([placed], bridge, 'dns.sock');
    expect(endpoints.gateways.map((gateway) => gateway.interface)).toEqual([route]);
    expect(published.ipv4).toBe(ipv4);
  });
});
