import { reasonOf } from '@atoll/errors';
import { type containerV1, imageV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { errorOfIssues } from '../../routing/zod-issues.ts';
import { NO_REFERENCES } from './create-references.ts';
import { CREATE_REQUEST } from './create-request.ts';
import { createSpec } from './create-spec.ts';

const ID = 'ab'.repeat(32);
const FRONT = 'f0'.repeat(32);
const NAMES: Readonly<Record<string, string>> = { [FRONT]: 'front', f0f0: 'front' };
const resolved = { image: imageV1.Image.fromPartial({}), config: { config: { Cmd: ['sh'] } } };

function network(
  NetworkMode: string | undefined,
  EndpointsConfig: object | undefined,
  more: object = {},
): containerV1.NetworkSpec {
  const { HostConfig, ...body } = more as { HostConfig?: object };
  const given = {
    Image: 'busybox',
    ...body,
    HostConfig: { ...(NetworkMode === undefined ? {} : { NetworkMode }), ...HostConfig },
    NetworkingConfig: { EndpointsConfig },
  };
  const parsed = CREATE_REQUEST.safeParse(given);
  if (!parsed.success) throw errorOfIssues(parsed.error, given);
  const references = { ...NO_REFERENCES, networkName: (reference: string) => NAMES[reference] ?? reference };
  const spec = createSpec(ID, 'web', parsed.data, resolved, references).network;
  if (!spec) throw new Error('no network');
  return spec;
}

describe('which networks a create request asks for', () => {
  test.each<[string, string | undefined, object | undefined, string, string[]]>([
    ['nothing: the default bridge', undefined, undefined, 'default', []],
    ['what the CLI sends for nothing', 'default', { default: {} }, 'default', []],
    ['bridge', 'bridge', { default: {} }, 'bridge', []],
    ['none', 'none', {}, 'none', []],
    ['host, as the CLI sends it', 'host', { host: {} }, 'host', []],
    ['by name', 'front', {}, 'front', ['front']],
    ['by id, which stays the mode', FRONT, {}, FRONT, ['front']],
    ['by the beginning of an id', 'f0f0', {}, 'front', ['front']],
    ['the mode by name, its endpoint by id', 'front', { [FRONT]: { Aliases: ['a'] } }, 'front', ['front']],
    [
      'several: the one of the mode first',
      'front',
      { back: {}, front: {}, side: null },
      'front',
      ['front', 'back', 'side'],
    ],
    ['several, none of them the mode', 'front', { back: {} }, 'front', ['front', 'back']],
    ['endpoints in place of the default bridge', undefined, { back: {}, front: {} }, 'back', ['back', 'front']],
    ['the default bridge and a network', 'default', { bridge: {}, back: {} }, 'default', ['back']],
  ])('%s', (_name, mode, endpoints, wantedMode, wanted) => {
    const spec = network(mode, endpoints);
    expect(spec.mode).toBe(wantedMode);
    expect(spec.endpoints.map((endpoint) => endpoint.network)).toEqual(wanted);
  });

  test('all that can be said of an endpoint', () => {
    const endpoint = {
      IPAMConfig: { IPv4Address: '10.1.0.5', IPv6Address: 'fd00::5', LinkLocalIPs: ['169.254.1.1'] },
      Links: ['db:store', '/cache'],
      MacAddress: '02:00:00:00:00:01',
      Aliases: ['www'],
      DriverOpts: { 'com.docker.network.endpoint.ifname': 'lan' },
      GwPriority: 7,
      NetworkID: 'x',
      IPAddress: '10.1.0.5',
    };
    expect(network('front', { front: endpoint }).endpoints).toEqual([
      {
        network: 'front',
        aliases: ['www'],
        ipv4Address: '10.1.0.5',
        ipv6Address: 'fd00::5',
        linkLocalIps: ['169.254.1.1'],
        macAddress: '02:00:00:00:00:01',
        driverOpts: { 'com.docker.network.endpoint.ifname': 'lan' },
        gwPriority: 7,
        links: [
          { container: 'db', alias: 'store' },
          { container: 'cache', alias: 'cache' },
        ],
      },
    ]);
  });

  test('the MAC address and links of the container are those of its first network', () => {
    const more = { MacAddress: '02:00:00:00:00:02', HostConfig: { Links: ['db', 'cache:store'] } };
    const made = network('front', { front: { Links: ['other:store'] }, back: {} }, more);
    expect(made.macAddress).toBe('');
    expect(made.endpoints).toMatchObject([
      {
        macAddress: '02:00:00:00:00:02',
        links: [
          { container: 'other', alias: 'store' },
          { container: 'db', alias: 'db' },
        ],
      },
      { macAddress: '', links: [] },
    ]);
    expect(network('bridge', {}, { MacAddress: '02:00:00:00:00:02' }).macAddress).toBe('02:00:00:00:00:02');
    expect(network('bridge', { bridge: { MacAddress: '02:00:00:00:00:03' } }).macAddress).toBe('02:00:00:00:00:03');
  });

  test.each<[string, string, object, object, string, string]>([
    [
      'an address on the bridge',
      'bridge',
      { bridge: { IPAMConfig: { IPv4Address: '10.1.0.5' } } },
      {},
      'invalid-argument',
      'supported on user defined networks only',
    ],
    [
      'an alias on the bridge',
      'default',
      { default: { Aliases: ['a'] } },
      {},
      'invalid-argument',
      'network-scoped alias is supported only',
    ],
    [
      'links of the bridge endpoint',
      'bridge',
      { bridge: { Links: ['a'] } },
      {},
      'unimplemented',
      'EndpointsConfig["bridge"].Links',
    ],
    [
      'options of the bridge endpoint',
      'bridge',
      { bridge: { DriverOpts: { a: 'b' } } },
      {},
      'unimplemented',
      'DriverOpts',
    ],
    ['a priority of the bridge', 'bridge', { bridge: { GwPriority: 1 } }, {}, 'unimplemented', 'GwPriority'],
    [
      'host beside a network',
      'front',
      { host: {} },
      {},
      'invalid-argument',
      'network host cannot be joined beside front',
    ],
    [
      'none beside the bridge',
      'bridge',
      { none: {} },
      {},
      'invalid-argument',
      'network none cannot be joined beside bridge',
    ],
    [
      'two MAC addresses',
      'front',
      { front: { MacAddress: '02:00:00:00:00:01' } },
      { MacAddress: '02:00:00:00:00:02' },
      'conflict',
      'must match the endpoint-specific MAC address',
    ],
    [
      'a link of no form',
      'front',
      { front: { Links: ['a:b:c'] } },
      {},
      'invalid-argument',
      'Links: bad format for links: a:b:c',
    ],
    [
      'a priority too large',
      'front',
      { front: { GwPriority: 3_000_000_000 } },
      {},
      'invalid-argument',
      'GwPriority: want 32 bits',
    ],
    ['an unknown field', 'front', { front: { Colour: 'red' } }, {}, 'invalid-argument', 'Colour'],
  ])('%s is refused', (_name, mode, endpoints, more, reason, part) => {
    let error: unknown;
    try {
      network(mode, endpoints, more);
    } catch (thrown) {
      error = thrown;
    }
    expect([reasonOf(error), (error as Error | undefined)?.message]).toEqual([reason, expect.stringContaining(part)]);
  });
});
