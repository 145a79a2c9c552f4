import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type containerV1, networkV1 } from '@atoll/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildFailpointShim } from '../../runtime/testing/shim-binary.ts';
import { TestHost, type TestHostOptions } from '../../testing/test-host.ts';
import { reconnect, TestNetworks } from '../../testing/test-networks.ts';
import { ServicePrograms } from '../testing/service-programs.ts';

const KINDS: readonly [string, TestHostOptions][] = [
  ['the native runtime', {}],
  ['user namespaces', { userNamespaces: 'with' }],
  ['runc', { runtime: 'runc' }],
];

/** One asks a service of two others. Who serves is the scheduler's word, said by the test. */
describe.each(KINDS)('the address of a service, with %s', { timeout: 60_000 }, (kind, options) => {
  const programs = new ServicePrograms();
  const pids = new Map<string, number>();
  let host: TestHost;
  let networks: TestNetworks;
  let net: networkV1.NetworkRecord;
  let asking: containerV1.ContainerRecord;
  let one: containerV1.ContainerRecord;
  let two: containerV1.ContainerRecord;
  let v4: string;
  let v6: string;

  beforeAll(async () => {
    host = await TestHost.create(options);
    networks = new TestNetworks([host]);
    const block = 21 + KINDS.findIndex(([name]) => name === kind);
    [v4, v6] = [`10.217.${block}.99`, `fd00:22${block}::99`];
    net = networks.create({
      subnets: [
        { cidr: `10.217.${block}.0/24`, gateway: `10.217.${block}.1` },
        { cidr: `fd00:22${block}::/64`, gateway: `fd00:22${block}::1` },
      ],
      ipv6: true,
    });
    asking = await started('asking');
    one = await started('one');
    two = await started('two');
    await programs.serve(pid(one), 'one');
    await programs.serve(pid(two), 'two');
  }, 120_000);
  // The next test must not take the word of this one for its own.
  afterEach(async () => {
    serve({});
    await resolves('web', []);
  });
  afterAll(async () => {
    await programs.stop();
    for (const record of [asking, one, two]) if (record) await host.remove(record);
    if (net) networks.remove(net);
    await host?.dispose();
  }, 120_000);

  const pid = ({ id }: containerV1.ContainerRecord): number => pids.get(id) ?? 0;

  async function started(name: string): Promise<containerV1.ContainerRecord> {
    const spec = { name, network: { mode: net.name, hostname: name, dns: ['127.0.0.1'] } };
    const record = networks.connect(host.record(['sleep', '600'], spec), net);
    await host.ensure(record);
    pids.set(record.id, (await host.start(record)).pid);
    return record;
  }

  /** `web` has these containers from now on, and those of them that are true serve. */
  function serve({ one: first, two: second }: { one?: boolean; two?: boolean }): void {
    for (const [record, serving] of [
      [one, first],
      [two, second],
    ] as const) {
      const known = networks.member(net, record.id);
      const service = serving === undefined ? '' : 'web';
      const [virtualIpv4, virtualIpv6] = service === '' ? ['', ''] : [v4, v6];
      networks.put(net, { ...known, serviceName: service, virtualIpv4, virtualIpv6, serving: serving ?? false });
    }
  }

  const inside = (record: containerV1.ContainerRecord, ...command: string[]): string =>
    execFileSync('nsenter', [`--net=/proc/${pid(record)}/ns/net`, ...command], { encoding: 'utf8', timeout: 10_000 });
  /** Addresses of a name, as the container's own programs find them; empty where it has none. */
  const resolved = (name: string, type = 'A'): readonly string[] => {
    const script = `const { Resolver } = require('dns').promises; const r = new Resolver({ timeout: 3000, tries: 1 }); r.setServers(['127.0.0.11']);
      r.resolve('${name}', '${type}').then((all) => console.log(JSON.stringify(all.sort())), () => console.log('[]'));`;
    return JSON.parse(inside(asking, process.execPath, '-e', script)) as string[];
  };
  const resolves = (name: string, wanted: readonly string[], type = 'A') =>
    expect.poll(() => resolved(name, type), { timeout: 15_000, interval: 50 }).toEqual(wanted);
  const ask = (address: string, count = 24) => programs.ask(pid(asking), address, count);
  const answered = (address: string, wanted: readonly string[]) =>
    expect.poll(() => [...ask(address).answers].sort(), { timeout: 15_000, interval: 50 }).toEqual(wanted);
  const tables = (record: containerV1.ContainerRecord): string => inside(record, 'nft', 'list', 'tables');
  const own = (record: containerV1.ContainerRecord, family: 'ipv4Address' | 'ipv6Address'): string =>
    record.endpoints[0]?.[family] ?? '';

  test('leads to all that serve, from the address of who asks', async () => {
    serve({ one: true, two: true });
    await resolves('web', [v4]);
    await resolves('web', [v6], 'AAAA');
    await resolves('tasks.web', [own(one, 'ipv4Address'), own(two, 'ipv4Address')].sort());
    await answered(v4, ['one', 'two']);
    for (const [address, family] of [
      [v4, 'ipv4Address'],
      [v6, 'ipv6Address'],
    ] as const) {
      const { answers, seenAs } = ask(address);
      expect([...answers].sort()).toEqual(['one', 'two']);
      expect([...seenAs]).toEqual([own(asking, family)]);
    }
    serve({ one: true, two: false });
    await answered(v4, ['one']);
    await resolves('tasks.web', [own(one, 'ipv4Address')]);
    serve({ one: false, two: true });
    await answered(v6, ['two']);
    serve({ one: false, two: false });
    await resolves('web', []);
  });

  test('costs nothing without a service', async () => {
    serve({ one: true, two: true });
    await resolves('web', [v4]);
    expect(tables(asking)).toContain('table inet atoll-services');
    expect(tables(one)).not.toContain('atoll-services');
    serve({});
    await expect.poll(() => tables(asking), { timeout: 15_000 }).not.toContain('atoll-services');
    await resolves('asking', [own(asking, 'ipv4Address')]);
    serve({ one: true });
    await resolves('web', [v4]);
    expect([...ask(v4, 4).answers]).toEqual(['one']);
  });

  test('is looked up anew by what has no end; connections to others stay', async () => {
    serve({ one: true });
    await resolves('web', [v4]);
    const connection = await programs.connect(pid(asking), v4);
    expect(connection.last).toContain('one');
    serve({ one: false, two: true });
    await answered(v4, ['two']);
    for (const address of [v4, v6]) {
      serve({ one: false, two: true });
      await answered(address, ['two']);
      const datagrams = await programs.sendFromOnePort(pid(asking), address);
      expect(datagrams.last).toBe('two');
      serve({ one: true, two: false });
      await expect.poll(() => datagrams.last, { timeout: 15_000 }).toBe('one');
      // Nobody serves for a moment.
      serve({ one: false, two: false });
      serve({ one: false, two: true });
      await expect.poll(() => datagrams.last, { timeout: 15_000 }).toBe('two');
    }
    connection.write('still here');
    await expect.poll(() => connection.last, { timeout: 15_000 }).toBe('still here');
  });

  test('is told again by the next agent, without a question, and stays meanwhile', async () => {
    serve({ one: true, two: true });
    await resolves('web', [v4]);
    await answered(v4, ['one', 'two']);
    await host.killAgent();
    expect([...ask(v4).answers].sort()).toEqual(['one', 'two']);
    serve({ one: false, two: true });
    await host.startAgent();
    await answered(v4, ['two']);
  });

  test('is found in a network that is joined while the container runs, and not after it has left', async () => {
    const other = networks.create();
    const server = networks.connect(host.record(['sleep', '600'], { network: { mode: other.name } }), other);
    await host.ensure(server);
    const serverPid = (await host.start(server)).pid;
    await programs.serve(serverPid, 'other');
    const virtual = other.subnets[0]?.cidr.replace(/0\/24$/, '99') ?? '';
    networks.put(other, {
      ...networks.member(other, server.id),
      serviceName: 'api',
      virtualIpv4: virtual,
      serving: true,
    });
    serve({ one: true });
    await resolves('web', [v4]);
    const joined = networks.connect(asking, other);
    await reconnect(host, joined);
    await resolves('api', [virtual]);
    expect([...ask(virtual, 4).answers]).toEqual(['other']);
    expect([...ask(v4, 4).answers]).toEqual(['one']);
    asking = networks.disconnect(joined, other);
    await reconnect(host, asking);
    await resolves('api', []);
    expect(inside(asking, 'nft', 'list', 'table', 'inet', 'atoll-services')).not.toContain(virtual);
    await host.remove(server);
    networks.remove(other);
  });

  test('is one of as many as a shim takes', async () => {
    serve({ one: true });
    await resolves('web', [v4]);
    const third = v4.split('.')[2];
    const members = Array.from({ length: 32 * 64 }, (_, at) => ({
      containerId: (at + 1).toString(16).padStart(64, '0'),
      // Behind each address of the first 31 services, and 63 of the last, is nobody.
      ipv4Address: at === 32 * 64 - 1 ? own(two, 'ipv4Address') : `10.${219 + (at >> 10)}.${third}.${at & 127}`,
      macAddress: '02:42:00:00:00:01',
      serviceName: `s${100 + (at >> 6)}`,
      virtualIpv4: `10.218.${third}.${at >> 6}`,
      serving: true,
    }));
    const tell = (change: Parameters<typeof networkV1.NetworkState.fromPartial>[0]): void =>
      host.scheduler.tell(networkV1.NetworkState.fromPartial({ network: net, ...change }));
    const rules = (): number =>
      inside(asking, 'nft', 'list', 'table', 'inet', 'atoll-services').split('dnat').length - 1;
    serve({});
    tell({ members });
    await expect.poll(rules, { timeout: 15_000 }).toBe(2_048);
    tell({ gone: members.slice(0, -1).map(({ containerId }) => containerId) });
    await expect.poll(rules, { timeout: 15_000 }).toBe(1);
    await answered(`10.218.${third}.31`, ['two']);
    tell({ gone: members.map(({ containerId }) => containerId) });
    await expect.poll(() => tables(asking), { timeout: 15_000 }).not.toContain('atoll-services');
  });

  test('stays when the container flushes its rules', async () => {
    serve({ one: true, two: true });
    await resolves('web', [v4]);
    await answered(v4, ['one', 'two']);
    inside(asking, 'nft', 'flush', 'ruleset');
    expect([...ask(v4).answers].sort()).toEqual(['one', 'two']);
    await resolves('web', [v4]);
  });

  test('on a kernel that cannot translate it names resolve to the containers', async () => {
    const shipped = host.shim;
    const name = 'services.no-tables';
    const file = join(host.dataRoot, 'spawner/failpoint');
    const next = async (shim: string): Promise<void> => {
      await host.killAgent();
      host.shim = shim;
      await host.startAgent();
    };
    await writeFile(file, Buffer.concat([Buffer.from(name), Buffer.alloc(64 - name.length)]));
    await next(buildFailpointShim());
    const usual = asking;
    asking = await started('poor');
    serve({ one: true, two: true });
    await resolves('web', [own(one, 'ipv4Address'), own(two, 'ipv4Address')].sort());
    await resolves('tasks.web', [own(one, 'ipv4Address'), own(two, 'ipv4Address')].sort());
    expect(tables(asking)).not.toContain('atoll-services');
    await host.remove(asking);
    asking = usual;
    await rm(file);
    await next(shipped);
  });
});
