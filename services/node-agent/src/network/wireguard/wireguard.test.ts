import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { networkV1 } from '@atoll/proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Membership } from '../user/membership.ts';
import { ensureHostKey, isWireGuardKey } from './host-key.ts';
import { innerAddress } from './inner-address.ts';
import {
  innerMtu,
  knownPeers,
  linkCommands,
  peerArguments,
  peerOf,
  type WireGuardPeer,
  wireguardDeviceOf,
} from './wireguard-device.ts';

const key = (letter: string): string => `${letter.repeat(43)}=`;
const peer = (letter: string, more: Partial<WireGuardPeer> = {}): WireGuardPeer => ({
  publicKey: key(letter),
  hostIp: '10.0.0.2',
  port: 7475,
  ...more,
});

describe('the key of a host', () => {
  let folder: string;
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'atoll-key-')), 'wireguard');
  });
  afterEach(async () => {
    await rm(join(folder, '..'), { recursive: true });
  });

  test('is made once, for root alone, and is what wg(8) makes of it', async () => {
    const made = await ensureHostKey(folder);
    expect(await ensureHostKey(folder)).toEqual(made);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(made.privateKeyFile)).mode & 0o777).toBe(0o600);
    const secret = await readFile(made.privateKeyFile, 'utf8');
    expect(execFileSync('wg', ['pubkey'], { input: secret, encoding: 'utf8' }).trim()).toBe(made.publicKey);
    await rm(made.privateKeyFile);
    expect((await ensureHostKey(folder)).publicKey).not.toBe(made.publicKey);
  });

  test.each([
    ['nothing', ''],
    ['half of one', 'AAAA'],
    ['something else', `${'x'.repeat(42)}!=`],
  ])('a file that holds %s is named, and stays', async (_name, text) => {
    const { privateKeyFile } = await ensureHostKey(folder);
    await writeFile(privateKeyFile, text);
    await expect(ensureHostKey(folder)).rejects.toThrow(`${privateKeyFile} does not hold a WireGuard key`);
    expect(await readFile(privateKeyFile, 'utf8')).toBe(text);
  });

  test.each([
    ['a key', key('A'), true],
    ['a longer one', `A${key('A')}`, false],
    ['a line after it', `${key('A')}\n`, false],
    ['an argument', '--help', false],
  ])('%s: taken as one: %o', (_name, text, want) => {
    expect(isWireGuardKey(text)).toBe(want);
  });
});

describe('the device', () => {
  test('names fit and differ, addresses follow from the key, the MTU is what is left', () => {
    expect(wireguardDeviceOf('atoll12345678')).toMatch(/^atw[0-9a-f]{8}$/);
    expect(wireguardDeviceOf('atoll12345678')).not.toBe(wireguardDeviceOf('atoll12345679'));
    expect(innerAddress(key('A'))).toMatch(/^fe80::[0-9a-f:]{7,19}$/);
    expect(innerAddress(key('A'))).not.toBe(innerAddress(key('B')));
    expect([innerMtu(1500, '10.0.0.1'), innerMtu(1500, 'fd00::1')]).toEqual([1440, 1420]);
  });

  const device = { name: 'atw1', address: 'fe80::1', mtu: 1440 };
  const link = (...addresses: [string, number][]) => ({
    ifname: 'atw1',
    addr_info: addresses.map(([local, prefixlen]) => ({ local, prefixlen })),
  });
  const set = 'link set dev atw1 mtu 1440 addrgenmode none up';
  test.each([
    ['new', link(), [set, 'addr add fe80::1/64 dev atw1 nodad']],
    ['as it should be', link(['fe80::1', 64]), [set]],
    [
      'with the address of an earlier key',
      link(['fe80::2', 64]),
      ['addr del fe80::2/64 dev atw1', set, 'addr add fe80::1/64 dev atw1 nodad'],
    ],
  ])('is brought into form: %s', (_name, found, commands) => {
    expect(linkCommands(device, [found])).toEqual(commands);
  });
});

describe('peers', () => {
  const allowed = (letter: string): string => `${innerAddress(key(letter))}/128`;
  const added = (letter: string, endpoint: string): string[] => [
    ...['peer', key(letter), 'endpoint', endpoint],
    ...['allowed-ips', allowed(letter)],
  ];
  const at = '10.0.0.2:7475';
  test.each<[string, WireGuardPeer[], [string, string][], [string, string][], string[]]>([
    ['a new one', [peer('A')], [], [], added('A', at)],
    ['one over IPv6', [peer('A', { hostIp: 'fd00::2' })], [], [], added('A', '[fd00::2]:7475')],
    ['nothing to do', [peer('A')], [[key('A'), allowed('A')]], [[key('A'), at]], []],
    ['one that has moved', [peer('A')], [[key('A'), allowed('A')]], [[key('A'), '10.0.0.9:7475']], added('A', at)],
    [
      'one with more than its address',
      [peer('A')],
      [[key('A'), `${allowed('A')} ::/0`]],
      [[key('A'), at]],
      added('A', at),
    ],
    ['one that is gone', [], [[key('B'), allowed('B')]], [[key('B'), at]], ['peer', key('B'), 'remove']],
  ])('%s', (_name, wanted, known, given, args) => {
    expect(peerArguments(wanted, new Map(known), new Map(given))).toEqual(args);
  });

  test('what wg(8) says of them', () => {
    const text = `${key('A')}\t${allowed('A')}\n${key('B')}\t(none)\n`;
    expect([...knownPeers(text)]).toEqual([
      [key('A'), allowed('A')],
      [key('B'), '(none)'],
    ]);
    expect(knownPeers('').size).toBe(0);
  });

  test('are the hosts with members that told their keys, each once', () => {
    const member = (id: string, hostIp: string, publicKey?: string): networkV1.Member =>
      networkV1.Member.fromPartial({
        containerId: id.repeat(64),
        hostIp,
        ...(publicKey && { wireguard: { publicKey, port: 7475 } }),
      });
    const network = { id: 'a'.repeat(64) };
    const all = new Membership();
    const tell = (change: object) => all.apply(networkV1.NetworkState.fromPartial({ network, ...change }));
    const [one, two] = [member('1', '10.0.0.2', key('A')), member('2', '10.0.0.2', key('A'))];
    tell({ complete: true, members: [one, two, member('3', '10.0.0.3'), member('4', '', key('D'))] });
    expect(all.peers()).toEqual([peer('A')]);
    tell({ gone: [one.containerId] });
    expect(all.peers()).toEqual([peer('A')]);
    tell({ members: [member('2', '10.0.0.2', key('B'))] });
    expect(all.peers()).toEqual([peer('B')]);
    tell({ gone: [two.containerId] });
    expect(all.peers()).toEqual([]);
    expect(peerOf(member('4', '', key('D')))).toBeUndefined();
  });
});

describe('whether a host can encrypt', () => {
  const module = join(import.meta.dirname, 'encryption-support.ts');
  const script = `import(${JSON.stringify(module)}).then((m) => m.detectEncryption()).then((s) => console.log(JSON.stringify(s)))`;
  test.each([
    ['with all it takes', 'true', { by: expect.stringMatching(/^(kernel|userspace)$/) }],
    [
      'without wg',
      'mount --bind /dev/null /usr/bin/wg',
      { by: 'nothing', reason: expect.stringContaining('wg is not') },
    ],
    [
      'without wireguard-go',
      'mount --bind /dev/null /usr/bin/wireguard-go; mount --bind /dev/null /usr/bin/unshare',
      { by: 'nothing', reason: 'its kernel has no WireGuard, and the program wireguard-go is not installed' },
    ],
    [
      'without /dev/net/tun',
      '[ ! -e /dev/net ] || mount -t tmpfs none /dev/net; mount --bind /dev/null /usr/bin/unshare',
      { by: 'nothing', reason: 'its kernel has no WireGuard, and wireguard-go needs /dev/net/tun (ENOENT)' },
    ],
  ])('%s', (_name, mounts, want) => {
    const shell = `${mounts}; exec "$0" --conditions=source --no-warnings -e "$1"`;
    const args = ['--mount', 'sh', '-c', shell, process.execPath, script];
    expect(JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }))).toEqual(want);
  });
});
