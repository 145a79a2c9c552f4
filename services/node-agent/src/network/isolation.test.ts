import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { USER_NAMESPACE_MODES } from '../runtime/testing/user-namespace-modes.ts';
import { TestHost } from '../testing/test-host.ts';
import { bridgeNameOf } from './bridge.ts';
import { Attacker, GATEWAY, ip, udpFrame } from './testing/attacker.ts';
import { routerAdvertisement } from './testing/ipv6-frames.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  let bridge: string;
  let attacker: Attacker;
  const LOOPBACK = { ...GATEWAY, ip: '127.0.0.1' };

  beforeAll(async () => {
    host = await TestHost.create({ userNamespaces: mode });
    bridge = bridgeNameOf(host.nodeId);
    attacker = await Attacker.start(host);
  });
  afterAll(async () => {
    await host?.dispose();
  });

  /** Nobody writes the rules again meanwhile; the next agent does. */
  async function withoutRules(attack: () => Promise<void>): Promise<void> {
    await host.killAgent();
    for (const family of ['ip', 'bridge']) attacker.inHost('nft', 'delete', 'table', family, bridge);
    try {
      await attack();
    } finally {
      await host.startAgent();
    }
    expect(attacker.inHost('nft', 'list', 'tables').match(new RegExp(bridge, 'g'))).toHaveLength(2);
  }

  describe('E29: router advertisements of a container', () => {
    const advertisement = (): Buffer => routerAdvertisement(attacker.own.mac);

    test('give no address or route to the host or to a neighbour', async () => {
      const neighbour = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
      await host.ensure(neighbour);
      const { pid } = await host.start(neighbour);
      attacker.send(advertisement());
      // What has been sent before it was handled before it.
      expect(await attacker.heard(7001, async () => {})).toBe('end\n');
      expect(attacker.inHost('ip', '-6', 'addr', 'show', 'dev', bridge)).not.toContain('2001:db8:bad');
      expect(attacker.inHost('ip', '-6', 'route')).not.toMatch(/2001:db8:bad|default/);
      expect(
        execFileSync('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', '-6', 'addr', 'show', 'dev', 'eth0'], {
          encoding: 'utf8',
        }),
      ).toBe('');
      await host.remove(neighbour);
    });

    test('control: a bridge that accepts them, without rules, takes the address', async () => {
      const setting = (name: string, value: string) =>
        attacker.inHost('sh', '-c', `echo ${value} >/proc/sys/net/ipv6/conf/${bridge}/${name}`);
      await withoutRules(async () => {
        setting('disable_ipv6', '0');
        setting('accept_ra', '2');
        await expect
          .poll(() => {
            attacker.send(advertisement());
            return attacker.inHost('ip', '-6', 'addr', 'show', 'dev', bridge);
          })
          .toContain('2001:db8:bad');
      });
      expect(attacker.inHost('cat', `/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`)).toBe('1\n');
    });
  });

  describe('E30: the loopback of the host, and addresses of others', () => {
    test.each([
      ['a packet to 127.0.0.1', () => udpFrame(attacker.own, LOOPBACK, 7002, 'attack')],
      [
        'a packet that claims to be from 127.0.0.1',
        () => udpFrame({ ...attacker.own, ip: '127.0.0.1' }, GATEWAY, 7002, 'attack'),
      ],
      [
        'a packet that claims to be from another network',
        () => udpFrame({ ...attacker.own, ip: '192.0.2.1' }, GATEWAY, 7002, 'attack'),
      ],
    ])('%s is dropped', async (_name, frame) => {
      expect(await attacker.heard(7002, () => attacker.send(frame()))).toBe('end\n');
    });

    test('control: with the rules gone and local routing on, it arrives', async () => {
      const routing = (value: number) =>
        attacker.inHost('sh', '-c', `echo ${value} >/proc/sys/net/ipv4/conf/${bridge}/route_localnet`);
      await withoutRules(async () => {
        routing(1);
        const attack = () => attacker.send(udpFrame(attacker.own, LOOPBACK, 7003, 'attack'));
        expect(await attacker.heard(7003, attack)).toBe('attack\nend\n');
        routing(0);
      });
    });

    test('a published port sees the address of its client', async () => {
      const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 18_090 }];
      const record = host.record(['nc', '-ll', '-p', '80', '-e', 'cat'], { network: { mode: 'bridge', ports } });
      await host.ensure(record);
      const { pid } = await host.start(record);
      let client: Socket | undefined;
      await expect
        .poll(async () => {
          client?.destroy();
          client = connect({ host: host.hostIp, port: 18_090 }).on('error', () => undefined);
          await once(client, 'connect').catch(() => undefined);
          return client.localAddress;
        })
        .toBeTruthy();
      const own = ip(client?.localAddress ?? '')
        .reverse()
        .toString('hex')
        .toUpperCase();
      // The server's socket may be one of IPv6, with the address at its end.
      const sockets = async () =>
        (await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')))).join('');
      await expect.poll(sockets).toMatch(new RegExp(`:0050 [0-9A-F]*${own}:`));
      client?.destroy();
      await host.remove(record);
    });
  });
});
