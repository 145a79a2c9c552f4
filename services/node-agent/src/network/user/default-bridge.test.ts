import { execFileSync } from 'node:child_process';
import { containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { USER_NAMESPACE_MODES } from '../../runtime/testing/user-namespace-modes.ts';
import { TestHost } from '../../testing/test-host.ts';
import { reconnect, TestNetworks } from '../../testing/test-networks.ts';
import { bridgeNameOf } from '../bridge.ts';

type Record_ = containerV1.ContainerRecord;

const CHOSEN = '02:aa:bb:cc:dd:01';

describe.each(USER_NAMESPACE_MODES)('the default bridge of a container that exists, %s user namespaces', (mode) => {
  let host: TestHost;
  let networks: TestNetworks;
  let net: networkV1.NetworkRecord;
  /** Address of a container of the default bridge, which others do not reach. */
  let neighbour: string;

  beforeAll(async () => {
    host = await TestHost.create({ userNamespaces: mode });
    networks = new TestNetworks([host]);
    net = networks.create();
    const record = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host.ensure(record);
    neighbour = (await host.start(record)).ipAddress;
  }, 60_000);
  afterAll(async () => {
    if (net) networks.remove(net);
    await host?.dispose();
  }, 60_000);

  const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 18_091 }];
  const make = (mode: string): Record_ =>
    host.record(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello'], { name: 'c', network: { mode, ports } });

  const change = (record: Record_, defaultBridge: Partial<containerV1.DefaultBridge>): Record_ => ({
    ...record,
    generation: record.generation + 5n,
    defaultBridge: containerV1.DefaultBridge.fromPartial(defaultBridge),
  });
  const joining = (record: Record_, interfaceName: string, macAddress = ''): Record_ =>
    change(record, { connected: true, interfaceName, macAddress });
  const leaving = (record: Record_): Record_ => change(record, { connected: false });

  const status = async ({ id }: Record_): Promise<containerV1.ContainerStatus> => {
    const answer = await host.runtime.getStatus({ containerId: id });
    return containerV1.ContainerStatus.fromPartial(answer.status ?? {});
  };
  const inHost = (...command: string[]): string =>
    execFileSync('nsenter', [`--net=/run/netns/${host.name}`, ...command], { encoding: 'utf8' });
  const inside = async (record: Record_, ...command: string[]): Promise<string> =>
    execFileSync('nsenter', [`--net=/proc/${(await status(record)).pid}/ns/net`, ...command], { encoding: 'utf8' });
  const pings = (record: Record_): Promise<boolean> =>
    inside(record, 'busybox', 'ping', '-c', '1', '-W', '1', neighbour).then(
      (text) => text.includes('1 packets received'),
      () => false,
    );
  const published = (): string => inHost('busybox', 'nc', '-w', '2', host.overlayIp, '18091');

  /** On the bridge with this interface, beside the network of a user. */
  async function isThere(record: Record_, interfaceName: string): Promise<void> {
    const { ipAddress } = await status(record);
    expect(ipAddress).toMatch(/^10\.231\.7\./);
    expect(await inside(record, 'ip', '-4', 'addr', 'show', 'dev', interfaceName)).toContain(`${ipAddress}/24`);
    expect(await pings(record)).toBe(true);
    await expect.poll(published, { timeout: 10_000 }).toBe('hello\n');
  }

  async function isGone(record: Record_, interfaceName: string): Promise<void> {
    expect((await status(record)).ipAddress).toBe('');
    expect(await inside(record, 'ip', '-o', 'link')).not.toContain(interfaceName);
    expect(await pings(record)).toBe(false);
  }

  async function restart(record: Record_): Promise<void> {
    await host.killAgent();
    await host.startAgent();
    await reconnect(host, record);
  }

  test('is joined by one that runs, which has its next runs there too, and left', async () => {
    const record = networks.connect(make(net.name), net);
    await host.ensure(record);
    await host.start(record);
    await isGone(record, 'eth1');
    const joined = joining(record, 'eth1');
    await reconnect(host, joined);
    await isThere(joined, 'eth1');
    const { ipAddress } = await status(joined);
    await restart(joined);
    expect((await status(joined)).ipAddress).toBe(ipAddress);
    await isThere(joined, 'eth1');
    await host.scheduler.order({ action: nodeV1.Action.RESTART, record: joined, timeoutSeconds: 0n });
    await isThere(joined, 'eth1');
    const left = leaving(joined);
    await reconnect(host, left);
    await isGone(left, 'eth1');
    await host.scheduler.order({ action: nodeV1.Action.RESTART, record: left, timeoutSeconds: 0n });
    await isGone(left, 'eth1');
    await host.remove(left);
  });

  test('is left by one that was made there, and joined again with another MAC address', async () => {
    const plain = make('bridge');
    await host.ensure(plain);
    await host.start(plain);
    await isThere(plain, 'eth0');
    const { ipAddress } = await status(plain);
    const both = networks.connect(plain, net);
    await reconnect(host, both);
    const left = leaving(both);
    await reconnect(host, left);
    await isGone(left, 'eth0');
    // Its ports lead to where it is now.
    expect(await inside(left, 'ip', 'route')).toContain(`default via ${net.subnets[0]?.gateway} dev eth1`);
    expect(published()).toBe('hello\n');
    // Its address is another's.
    const next = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host.ensure(next);
    await host.start(next);
    const again = joining(left, 'eth0', CHOSEN);
    await reconnect(host, again);
    await isThere(again, 'eth0');
    const now = await status(again);
    expect(now.macAddress).toBe(CHOSEN);
    expect(now.ipAddress).not.toBe(ipAddress);
    const other = joining(again, 'eth0', '02:aa:bb:cc:dd:02');
    await reconnect(host, other);
    await isThere(other, 'eth0');
    await restart(other);
    await isThere(other, 'eth0');
    await host.remove(other);
    await host.remove(next);
    const pairs = inHost('nft', 'list', 'set', 'bridge', bridgeNameOf(host.nodeId), 'pairs');
    expect(pairs).not.toContain('02:aa:bb');
  });

  test('all networks left: none but loopback, and it starts again so', async () => {
    const record = networks.connect(make(net.name), net);
    await host.ensure(record);
    await host.start(record);
    const alone = networks.disconnect(record, net);
    await reconnect(host, alone);
    expect((await inside(alone, 'ip', '-o', 'link')).trim().split('\n')).toHaveLength(1);
    await host.scheduler.order({ action: nodeV1.Action.RESTART, record: alone, timeoutSeconds: 0n });
    expect((await inside(alone, 'ip', '-o', 'link')).trim().split('\n')).toHaveLength(1);
    await host.remove(alone);
  });

  test('is joined by one that is prepared only', async () => {
    const record = networks.connect(make(net.name), net);
    await host.ensure(record);
    await expect.poll(async () => (await status(record)).state).toBe(containerV1.ContainerState.CREATED);
    const joined = joining(record, 'eth1');
    await reconnect(host, joined);
    await host.start(joined);
    await isThere(joined, 'eth1');
    await host.remove(joined);
  });
});
