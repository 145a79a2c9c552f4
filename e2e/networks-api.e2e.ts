import { describe, expect, inject, test } from 'vitest';
import { DockerStream, docker, dockerOk, TestContainer, unique } from './lib/docker.ts';

const [h1 = '', h2 = ''] = inject('hosts');

/** A network that goes at the end of the scope. */
class TestNetwork implements AsyncDisposable {
  readonly name: string;
  private constructor(name: string) {
    this.name = name;
  }
  static async create(args: readonly string[] = [], name = unique('e2e-net')): Promise<TestNetwork> {
    await dockerOk(['network', 'create', ...args, name]);
    return new TestNetwork(name);
  }
  async inspect(): Promise<Record<string, unknown>> {
    const [found] = JSON.parse(await dockerOk(['network', 'inspect', this.name])) as Record<string, unknown>[];
    return found ?? {};
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await docker(['network', 'rm', this.name]);
  }
}

/** `docker create` on a named host; removed at the end of the scope. */
async function createOn(host: string, args: readonly string[] = []): Promise<TestContainer> {
  const container = new TestContainer(unique('e2e'));
  const where = ['-l', `atoll.constraints=node.hostname==${host}`];
  await dockerOk(['create', '--name', container.name, ...where, ...args, 'busybox', 'sleep', '600']);
  return container;
}

type Ends = Record<
  string,
  { NetworkID: string; Aliases: string[] | null; IPAMConfig: object | null; DNSNames: string[] }
>;
const ends = (container: TestContainer): Promise<Ends> => container.inspect<Ends>('.NetworkSettings.Networks');

describe('docker network', () => {
  test('create with every option, inspect, ls, rm', async () => {
    const name = unique('e2e-net');
    const options = [
      ...['--driver', 'overlay', '--attachable', '--internal', '--ipv6', '--label', 'tier=web'],
      ...['--subnet', '10.140.0.0/16', '--ip-range', '10.140.5.0/24', '--gateway', '10.140.0.9'],
      ...['--aux-address', 'router=10.140.0.10', '--subnet', 'fd00:140::/64', '--subnet', '10.141.0.0/24'],
      ...['--opt', 'com.docker.network.driver.mtu=1400'],
    ];
    const id = await dockerOk(['network', 'create', ...options, name]);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const [found] = JSON.parse(await dockerOk(['network', 'inspect', name])) as [
      { IPAM: { Config: { Subnet: string }[] } },
    ];
    expect(found).toMatchObject({
      Name: name,
      Id: id,
      Driver: 'overlay',
      Scope: 'swarm',
      Internal: true,
      Attachable: true,
      EnableIPv4: true,
      EnableIPv6: true,
      Labels: { tier: 'web' },
      Options: { 'com.docker.network.driver.mtu': '1400' },
      Containers: {},
    });
    const bySubnet = new Map(found.IPAM.Config.map((config) => [config.Subnet, config]));
    expect(Object.fromEntries(bySubnet)).toEqual({
      '10.140.0.0/16': {
        Subnet: '10.140.0.0/16',
        IPRange: '10.140.5.0/24',
        Gateway: '10.140.0.9',
        AuxiliaryAddresses: { router: '10.140.0.10' },
      },
      '10.141.0.0/24': { Subnet: '10.141.0.0/24' },
      'fd00:140::/64': { Subnet: 'fd00:140::/64' },
    });
    expect(await dockerOk(['network', 'ls', '-q', '--no-trunc', '-f', `name=${name}`])).toBe(id);
    expect(await dockerOk(['network', 'rm', id.slice(0, 12)])).toBe(id.slice(0, 12));
    const gone = await docker(['network', 'inspect', name]);
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining(`network ${name} not found`)]);
  });

  test('without a subnet each gets a block of its own', async () => {
    await using one = await TestNetwork.create();
    await using two = await TestNetwork.create(['--ipv6']);
    const [first, second] = [await one.inspect(), await two.inspect()];
    expect(first).toMatchObject({ Driver: 'bridge', Scope: 'local', EnableIPv6: false });
    expect(first['IPAM']).toMatchObject({
      Driver: 'default',
      Config: [{ Subnet: expect.stringMatching(/^10\..*\/22$/) }],
    });
    expect(second['IPAM']).toMatchObject({ Config: [{}, { Subnet: expect.stringMatching(/^fd.*\/64$/) }] });
    expect(JSON.stringify(second['IPAM'])).not.toContain(
      JSON.stringify(first['IPAM']).match(/10\.[\d.]+\/22/)?.[0] ?? '-',
    );
  });

  test('ls filters', async () => {
    const mark = unique('mark');
    await using one = await TestNetwork.create(['--label', `${mark}=1`]);
    await using two = await TestNetwork.create(['--label', mark, '--driver', 'overlay']);
    const ls = async (...filters: string[]): Promise<string[]> =>
      (await dockerOk(['network', 'ls', '--format', '{{.Name}}', ...filters.flatMap((filter) => ['-f', filter])]))
        .split('\n')
        .filter(Boolean)
        .sort();
    const both = [one.name, two.name].sort();
    expect(await ls(`label=${mark}`)).toEqual(both);
    expect(await ls(`label=${mark}=1`)).toEqual([one.name]);
    expect(await ls(`label=${mark}`, 'driver=overlay')).toEqual([two.name]);
    expect(await ls(`label=${mark}`, 'scope=local')).toEqual([one.name]);
    expect(await ls(`name=^${two.name}$`)).toEqual([two.name]);
    expect(await ls('type=builtin')).toEqual(['bridge', 'host', 'none']);
    expect(await ls('type=custom', `label=${mark}`)).toEqual(both);
    expect(await ls(`label=${mark}`, 'dangling=true')).toEqual(both);
    expect(await ls(`label=${mark}`, 'dangling=false')).toEqual([]);
  });

  test.each([
    ['a built-in name', ['host'], 'operation is not permitted on predefined host network'],
    ['an unknown driver', ['-d', 'weave', 'x'], 'could not find plugin weave'],
    ['ipvlan', ['-d', 'ipvlan', '-o', 'parent=eth0', 'x'], 'ipvlan is not built'],
    [
      'an unclear wish for encryption',
      ['-o', 'encrypted=maybe', 'x'],
      'Options["encrypted"]: want nothing, true or false',
    ],
    [
      'encryption of macvlan',
      ['-d', 'macvlan', '-o', 'parent=eth0', '-o', 'encrypted', 'x'],
      '"encrypted" is no known option',
    ],
    ['an unknown option', ['-o', 'colour=red', 'x'], '"colour" is no known option'],
    ['host bits', ['--subnet', '10.150.0.1/16', 'x'], 'it should be 10.150.0.0/16'],
    [
      "the hosts' own addresses",
      ['--subnet', '10.213.0.0/16', 'x'],
      'Pool overlaps with other one on this address space',
    ],
    ['a gateway outside', ['--subnet', '10.150.0.0/16', '--gateway', '10.151.0.1', 'x'], 'subnet'],
    ['a configuration that is internal', ['--config-only', '--internal', 'x'], 'Internal'],
    ['a configuration nobody has', ['--config-from', 'e2e-nowhere', 'x'], 'e2e-nowhere not found'],
    ['an ingress', ['-d', 'overlay', '--ingress', 'x'], 'Ingress'],
  ])('create refuses %s', async (_name, args, part) => {
    const result = await docker(['network', 'create', ...args]);
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(part)]);
  });

  test('a name and a subnet are had by one network only', async () => {
    await using network = await TestNetwork.create(['--subnet', '10.152.0.0/16']);
    const name = await docker(['network', 'create', network.name]);
    expect(name.stderr).toContain(`network with name ${network.name} already exists`);
    const subnet = await docker(['network', 'create', '--subnet', '10.152.7.0/24', unique('e2e-net')]);
    expect(subnet.stderr).toContain(`Pool overlaps with other one on this address space`);
    expect(subnet.stderr).toContain(network.name);
  });

  test('made from a configuration', async () => {
    await using config = await TestNetwork.create(['--config-only', '--subnet', '10.155.0.0/24']);
    await using made = await TestNetwork.create(['--config-from', config.name]);
    expect(await config.inspect()).toMatchObject({ ConfigOnly: true, Driver: 'null', Scope: 'local' });
    expect(await made.inspect()).toMatchObject({ ConfigOnly: false, ConfigFrom: { Network: config.name } });
    expect((await made.inspect())['IPAM']).toMatchObject({ Config: [{ Subnet: '10.155.0.0/24' }] });
    const ls = await dockerOk(['network', 'ls', '-f', `name=${config.name}`, '--format', '{{.Driver}}']);
    expect(ls.trim()).toBe('null');
    const used = await docker(['network', 'rm', config.name]);
    expect([used.code, used.stderr]).toEqual([1, expect.stringContaining('is in use')]);
    const joined = await docker(['create', '--network', config.name, 'busybox', 'true']);
    expect(joined.stderr).toContain('configuration-only network');
  });

  test('built-in networks stay', async () => {
    for (const name of ['bridge', 'host', 'none']) {
      const result = await docker(['network', 'rm', name]);
      expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(`${name} is a pre-defined network`)]);
    }
  });

  test('prune: by label, and it says which', async () => {
    const mark = unique('mark');
    await using gone = await TestNetwork.create(['--label', mark]);
    await using kept = await TestNetwork.create(['--label', mark, '--label', 'keep']);
    const said = await dockerOk(['network', 'prune', '-f', '--filter', `label=${mark}`, '--filter', 'label!=keep']);
    expect(said).toContain(gone.name);
    expect(said).not.toContain(kept.name);
    expect((await docker(['network', 'inspect', gone.name])).code).toBe(1);
    expect((await kept.inspect())['Name']).toBe(kept.name);
  });

  test('events of its life', async () => {
    const name = unique('e2e-net');
    const format = '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}';
    await using events = new DockerStream(['events', '--since', '1', '-f', 'type=network', '--format', format]);
    await dockerOk(['network', 'create', name]);
    await dockerOk(['network', 'rm', name]);
    await events.saw(`create ${name} bridge`);
    await events.saw(`destroy ${name} bridge`);
  });
});

describe('containers that do not run', () => {
  test('connect with everything, inspect, ps filter, disconnect; on two hosts', async () => {
    await using network = await TestNetwork.create([
      '--subnet',
      '10.153.0.0/24',
      '--ipv6',
      '--subnet',
      'fd00:153::/64',
    ]);
    await using one = await createOn(h1);
    await using two = await createOn(h2);
    const said = ['--alias', 'db', '--ip', '10.153.0.77', '--ip6', 'fd00:153::77', '--link-local-ip', '169.254.3.4'];
    await dockerOk(['network', 'connect', ...said, '--link', `${two.name}:other`, network.name, one.name]);
    await dockerOk(['network', 'connect', network.name, two.name]);
    const id = await one.inspect('.Id');
    const seen = await ends(one);
    expect(Object.keys(seen).sort()).toEqual(['bridge', network.name].sort());
    expect(seen[network.name]).toMatchObject({
      IPAMConfig: { IPv4Address: '10.153.0.77', IPv6Address: 'fd00:153::77', LinkLocalIPs: ['169.254.3.4'] },
      Aliases: ['db'],
      Links: [`${two.name}:other`],
      DNSNames: [one.name, 'db', id.slice(0, 12)],
      NetworkID: (await network.inspect())['Id'],
    });
    const ps = ['ps', '-a', '--format', '{{.Names}}', '-f', `network=${network.name}`];
    expect((await dockerOk(ps)).split('\n').sort()).toEqual([one.name, two.name].sort());
    const again = await docker(['network', 'connect', network.name, one.name]);
    expect(again.stderr).toContain(`endpoint with name ${one.name} already exists in network ${network.name}`);
    const taken = await docker(['network', 'disconnect', network.name, two.name]);
    expect(taken.code).toBe(0);
    const same = await docker(['network', 'connect', '--ip', '10.153.0.77', network.name, two.name]);
    expect(same.stderr).toContain('Address already in use');
    await dockerOk(['network', 'disconnect', network.name, one.name]);
    await dockerOk(['network', 'connect', '--ip', '10.153.0.77', network.name, two.name]);
    expect(Object.keys(await ends(one))).toEqual(['bridge']);
    const not = await docker(['network', 'disconnect', network.name, one.name]);
    expect(not.stderr).toContain(`is not connected to network ${network.name}`);
  });

  test('create in several networks, with what `docker run` can say', async () => {
    await using one = await TestNetwork.create(['--subnet', '10.154.0.0/24']);
    await using two = await TestNetwork.create();
    const first = `name=${one.name},ip=10.154.0.9,alias=web,alias=www,mac-address=02:00:00:00:01:02`;
    const second = `name=${two.name},driver-opt=com.docker.network.endpoint.ifname=lan,gw-priority=5`;
    await using container = await createOn(h2, ['--network', first, '--network', second]);
    const seen = await ends(container);
    expect(Object.keys(seen).sort()).toEqual([one.name, two.name].sort());
    expect(seen[one.name]).toMatchObject({
      IPAMConfig: { IPv4Address: '10.154.0.9' },
      Aliases: ['web', 'www'],
      MacAddress: '02:00:00:00:01:02',
    });
    expect(seen[two.name]).toMatchObject({
      GwPriority: 5,
      DriverOpts: { 'com.docker.network.endpoint.ifname': 'lan' },
      Aliases: null,
    });
    expect(await container.inspect('.HostConfig.NetworkMode')).toBe(one.name);
    expect(await container.inspect('.State.Status')).toBe('created');
    await using simple = await createOn(h1, ['--network', two.name, '--network-alias', 'db']);
    expect((await ends(simple))[two.name]).toMatchObject({ Aliases: ['db'] });
  });

  test('a network they are in can be removed, and they can be removed after it', async () => {
    const network = await TestNetwork.create();
    await using container = await createOn(h1);
    await dockerOk(['network', 'connect', network.name, container.name]);
    await dockerOk(['network', 'rm', network.name]);
    const start = await docker(['start', container.name]);
    expect([start.code, start.stderr]).toEqual([1, expect.stringContaining(`network ${network.name} not found`)]);
    await dockerOk(['rm', container.name]);
  });

  test.each([
    ['a network that does not exist', ['--network', 'e2e-nowhere'], 'network e2e-nowhere not found'],
    ['an address on the default bridge', ['--ip', '10.1.2.3'], 'supported on user defined networks only'],
    ['host beside another', ['--network', 'host', '--network', 'bridge'], 'conflicting options'],
  ])('create refuses %s', async (_name, args, part) => {
    const result = await docker(['create', ...args, 'busybox', 'true']);
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(part)]);
    expect(result.stderr).not.toContain('Unable to find image');
  });

  test.each([
    ['host', 'connected to host network'],
    ['none', 'private (none) mode'],
  ])('with mode %s they join no other network', async (mode, part) => {
    await using network = await TestNetwork.create();
    await using container = await createOn(h1, ['--network', mode]);
    const result = await docker(['network', 'connect', network.name, container.name]);
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(part)]);
  });
});

describe('the default bridge', () => {
  const bridgeHas = async (container: TestContainer): Promise<string | undefined> => {
    const text = await dockerOk(['network', 'inspect', 'bridge', '--format', '{{json .Containers}}']);
    const members = JSON.parse(text) as Record<string, { Name: string; IPv4Address: string }>;
    return Object.values(members).find(({ Name }) => Name === container.name)?.IPv4Address;
  };

  test('is left and joined by a container that runs, which keeps it over a restart', async () => {
    await using network = await TestNetwork.create();
    await using container = await createOn(h2, ['--network', network.name, '-p', '80']);
    await dockerOk(['start', container.name]);
    expect(await bridgeHas(container)).toBeUndefined();
    await dockerOk(['network', 'connect', 'bridge', container.name]);
    expect(Object.keys(await ends(container)).sort()).toEqual(['bridge', network.name].sort());
    const address = (await ends(container))['bridge'] as unknown as { IPAddress: string; IPPrefixLen: number };
    expect(await bridgeHas(container)).toBe(`${address.IPAddress}/${address.IPPrefixLen}`);
    expect(await dockerOk(['exec', container.name, 'ip', 'addr', 'show', 'eth1'])).toContain(address.IPAddress);
    expect(await dockerOk(['ps', '--format', '{{.Names}}', '-f', 'network=bridge'])).toContain(container.name);
    expect(await dockerOk(['port', container.name, '80'])).toMatch(/:\d+/);
    await dockerOk(['restart', '-t', '0', container.name]);
    expect(await bridgeHas(container)).toMatch(/^\d/);
    const again = await docker(['network', 'connect', 'bridge', container.name]);
    expect(again.stderr).toContain(`endpoint with name ${container.name} already exists in network bridge`);
    await dockerOk(['network', 'disconnect', 'bridge', container.name]);
    expect(Object.keys(await ends(container))).toEqual([network.name]);
    expect(await bridgeHas(container)).toBeUndefined();
    const not = await docker(['network', 'disconnect', 'bridge', container.name]);
    expect(not.stderr).toContain('is not connected to network bridge');
  });

  test('is left by one that was made there and does not run', async () => {
    await using container = await createOn(h1);
    await dockerOk(['network', 'disconnect', 'bridge', container.name]);
    expect(await ends(container)).toEqual({});
    await dockerOk(['start', container.name]);
    expect(await dockerOk(['exec', container.name, 'ip', '-o', 'link'])).not.toContain('eth0');
    await dockerOk(['network', 'connect', 'bridge', container.name]);
    expect(await dockerOk(['exec', container.name, 'ip', '-o', 'addr'])).toContain(' eth0 ');
    const refused = await docker(['network', 'connect', '--ip', '10.1.2.3', 'bridge', container.name]);
    expect(refused.code).toBe(1);
  });
});
