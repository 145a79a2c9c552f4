import type { containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { USER_NAMESPACE_MODES } from '../runtime/testing/user-namespace-modes.ts';
import { TestHost } from '../testing/test-host.ts';
import { bridgeNameOf } from './bridge.ts';
import { Attacker, arpReply, GATEWAY, type Place, udpFrame } from './testing/attacker.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  let bridge: string;
  let attacker: Attacker;
  let victim: Place;
  let neighbour: containerV1.ContainerRecord;
  const CHOSEN = '02:aa:bb:cc:dd:ee';

  beforeAll(async () => {
    host = await TestHost.create({ userNamespaces: mode });
    bridge = bridgeNameOf(host.nodeId);
    attacker = await Attacker.start(host);
    neighbour = host.record(['nc', '-ll', '-p', '80', '-e', 'echo', 'neighbour'], { network: { mode: 'bridge' } });
    await host.ensure(neighbour);
    const { ipAddress, macAddress } = await host.start(neighbour);
    victim = { ip: ipAddress, mac: macAddress };
    // A change of an entry is believed at once, not only a second after the last.
    attacker.inHost('sh', '-c', `echo 0 >/proc/sys/net/ipv4/neigh/${bridge}/locktime`);
  });
  afterAll(async () => {
    await host?.dispose();
  });

  /** Who the host thinks has the victim's address. */
  const believed = (): string =>
    /lladdr (\S+)/.exec(attacker.inHost('ip', 'neigh', 'show', victim.ip, 'dev', bridge))?.[1] ?? '';
  const know = (mac: string): string =>
    attacker.inHost('ip', 'neigh', 'replace', victim.ip, 'lladdr', mac, 'dev', bridge, 'nud', 'stale');
  /** Which port the bridge sends the victim's frames to. */
  const portOfVictim = (): string => {
    const line = attacker
      .inHost('bridge', 'fdb', 'show', 'br', bridge)
      .split('\n')
      .find((entry) => entry.startsWith(victim.mac));
    return /dev (\S+)/.exec(line ?? '')?.[1] ?? '';
  };
  const answer = (): string => attacker.inHost('busybox', 'nc', '-w', '2', victim.ip, '80');

  /** Frames that are not the attacker's own, to a port of the host. */
  const FORGED: readonly [string, (port: number) => Buffer][] = [
    ["the neighbour's IPv4 address", (port) => udpFrame({ ...attacker.own, ip: victim.ip }, GATEWAY, port, 'attack')],
    [
      "the neighbour's hardware address",
      (port) => udpFrame({ ...attacker.own, mac: victim.mac }, GATEWAY, port, 'attack'),
    ],
    ['both', (port) => udpFrame(victim, GATEWAY, port, 'attack')],
    [
      'an address of the block nobody has',
      (port) => udpFrame({ ...attacker.own, ip: '10.231.7.200' }, GATEWAY, port, 'attack'),
    ],
    ['a hardware address nobody has', (port) => udpFrame({ ...attacker.own, mac: CHOSEN }, GATEWAY, port, 'attack')],
    ["the host's addresses", (port) => udpFrame({ ...GATEWAY, ip: GATEWAY.ip }, GATEWAY, port, 'attack')],
  ];

  /** What says that the victim's address is the attacker's. */
  const lie = (): Buffer => arpReply({ ip: victim.ip, mac: attacker.own.mac }, GATEWAY);

  describe('E31: a container cannot speak for another', { timeout: 60_000 }, () => {
    test.each(FORGED)('with %s it is not heard', async (_name, frame) => {
      expect(await attacker.heard(7101, () => attacker.send(frame(7101)))).toBe('end\n');
    });

    test.each([
      ['its own hardware address', lie],
      ["the neighbour's in the frame", () => arpReply({ ip: victim.ip, mac: attacker.own.mac }, GATEWAY, victim.mac)],
      [
        'one inside a VLAN tag',
        () => Buffer.concat([lie().subarray(0, 12), Buffer.from([0x81, 0, 0, 0]), lie().subarray(12)]),
      ],
    ])('with ARP and %s it is not believed', async (_name, frame) => {
      expect(answer()).toBe('neighbour\n');
      know(victim.mac);
      // What has been sent before was handled before.
      await attacker.heard(7102, () => attacker.send(frame()));
      expect(believed()).toBe(victim.mac);
      expect(answer()).toBe('neighbour\n');
    });

    test("frames with the neighbour's hardware address do not draw its frames", async () => {
      const port = portOfVictim();
      await attacker.heard(7103, () => attacker.send(udpFrame(victim, GATEWAY, 7103, 'attack')));
      // Frames for the bridge itself go another way through it.
      attacker.send(Buffer.concat([Buffer.from('0180c200000e', 'hex'), udpFrame(victim, GATEWAY, 1, 'x').subarray(6)]));
      await attacker.heard(7103, () => undefined);
      expect(portOfVictim()).toBe(port);
      expect(answer()).toBe('neighbour\n');
    });

    test('one with a hardware address of its own choice speaks with its address only', async () => {
      const record = host.record(['sleep', '600'], { network: { mode: 'bridge', macAddress: CHOSEN.toUpperCase() } });
      await host.ensure(record);
      const { ipAddress, macAddress, pid } = await host.start(record);
      expect(macAddress).toBe(CHOSEN);
      const reach = () =>
        attacker.inHost('nsenter', `--net=/proc/${pid}/ns/net`, 'busybox', 'ping', '-c', '1', '-W', '2', GATEWAY.ip);
      expect(reach()).toContain('1 packets received');
      expect(attacker.inHost('nft', 'list', 'set', 'bridge', bridge, 'pairs')).toContain(`${CHOSEN} . ${ipAddress}`);
      await host.killAgent();
      await host.startAgent();
      expect(attacker.inHost('nft', 'list', 'set', 'bridge', bridge, 'pairs')).toContain(`${CHOSEN} . ${ipAddress}`);
      expect(reach()).toContain('1 packets received');
      await host.remove(record);
      expect(attacker.inHost('nft', 'list', 'set', 'bridge', bridge, 'pairs')).not.toContain(CHOSEN);
    });

    test('nobody gets the hardware address of the host', async () => {
      const record = host.record(['true'], { network: { mode: 'bridge', macAddress: GATEWAY.mac } });
      await host.ensure(record);
      await expect(host.start(record)).rejects.toThrow("the bridge's own");
      await host.remove(record);
    });

    test('control: without the rules and on an open port all of it works', async () => {
      await host.killAgent();
      try {
        attacker.inHost('nft', 'delete', 'table', 'bridge', bridge);
        attacker.inHost('bridge', 'link', 'set', 'dev', attacker.port, 'locked', 'off', 'learning', 'on');
        const withoutHosts = FORGED.slice(0, -1);
        for (const [name, frame] of withoutHosts) {
          expect(await attacker.heard(7104, () => attacker.send(frame(7104))), name).toBe('attack\nend\n');
        }
        know(victim.mac);
        await attacker.heard(7104, () => attacker.send(lie()));
        expect(believed()).toBe(attacker.own.mac);
        expect(portOfVictim()).toBe(attacker.port);
      } finally {
        attacker.inHost('bridge', 'link', 'set', 'dev', attacker.port, 'locked', 'on', 'learning', 'off');
        await host.startAgent();
      }
    });

    test('control: the rules alone do not hold a hardware address, the port alone not an IPv4 address', async () => {
      const heard = (index: number) => attacker.heard(7105, () => attacker.send(FORGED[index]?.[1](7105) as Buffer));
      attacker.inHost('bridge', 'link', 'set', 'dev', attacker.port, 'locked', 'off');
      expect(await heard(2)).toBe('attack\nend\n');
      attacker.inHost('bridge', 'link', 'set', 'dev', attacker.port, 'locked', 'on');
      await host.killAgent();
      attacker.inHost('nft', 'delete', 'table', 'bridge', bridge);
      expect(await heard(0)).toBe('attack\nend\n');
      await host.startAgent();
    });
  });
});
