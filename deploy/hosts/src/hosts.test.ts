import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cgroupMode, listCgroupHierarchies, parseHierarchies } from './cgroup-hierarchies.ts';
import {
  CgroupTree,
  claimFreeBlock,
  clusterNames,
  identifyProcess,
  isAlive,
  linkExists,
  NamespaceHost,
  runCommand,
  signalProcess,
  Underlay,
  waitUntil,
} from './index.ts';
import { addressIn, formatBlock, overlaps, parseBlock } from './ipv4-block.ts';

describe('address blocks', () => {
  test.each([
    ['the same', '10.0.0.0/24', '10.0.0.0/24', true],
    ['one inside the other', '10.0.0.0/8', '10.9.8.0/24', true],
    ['neighbours', '10.0.0.0/24', '10.0.1.0/24', false],
    ['a single address at the end', '10.0.0.255', '10.0.0.0/24', true],
  ])('%s', (_name, one, other, want) => {
    expect(overlaps(parseBlock(one), parseBlock(other))).toBe(want);
  });

  test('host bits are cut off, addresses are counted', () => {
    expect(formatBlock(parseBlock('10.214.7.99/24'))).toBe('10.214.7.0/24');
    expect(addressIn(parseBlock('10.214.7.0/24'), 11)).toBe('10.214.7.11');
  });

  test.each(['10.0.0/24', '10.0.0.256/24', '10.0.0.0/33', 'x'])('%s is refused', (text) => {
    expect(() => parseBlock(text)).toThrow(/not an IPv4 block/);
  });
});

describe('cgroup hierarchies of a machine', () => {
  const line = (path: string, type: string, options: string) =>
    `30 25 0:26 / ${path} rw,nosuid shared:9 - ${type} cgroup ${options}`;
  test.each([
    ['v2', [line('/sys/fs/cgroup', 'cgroup2', 'rw,nsdelegate')], 'v2', 1],
    [
      'v1',
      [line('/c/cpu', 'cgroup', 'rw,cpu,cpuacct'), line('/c/systemd', 'cgroup', 'rw,xattr,name=systemd')],
      'v1',
      2,
    ],
    ['hybrid', [line('/c/memory', 'cgroup', 'rw,memory'), line('/c/unified', 'cgroup2', 'rw')], 'hybrid', 2],
    ['none', ['30 25 0:26 / /tmp rw - tmpfs tmpfs rw'], 'none', 0],
  ])('%s', (_name, lines, mode, count) => {
    const found = parseHierarchies(lines.join('\n'));
    expect(cgroupMode(found)).toBe(mode);
    expect(found).toHaveLength(count);
  });
});

describe('processes', () => {
  test('a dead process is never taken for a living one', async () => {
    const child = spawn('sleep', ['100'], { stdio: 'ignore' });
    const identity = await identifyProcess(child.pid as number);
    if (!identity) throw new Error('sleep did not start');
    expect(await isAlive(identity)).toBe(true);
    expect(await isAlive({ ...identity, startTime: '1' })).toBe(false);
    expect(await signalProcess({ ...identity, startTime: '1' }, 'SIGKILL')).toBe(false);
    const exited = once(child, 'exit');
    expect(await signalProcess(identity, 'SIGKILL')).toBe(true);
    await exited;
    expect(await isAlive(identity)).toBe(false);
  });

  test.each([
    ['a failing one', 'false', /failed \(1\)/],
    ['one that is not there', 'atoll-no-such-program', /not installed/],
  ])('a command: %s', async (_name, program, message) => {
    await expect(runCommand(program, [])).rejects.toThrow(message);
  });
});

describe.runIf(process.getuid?.() === 0)('two hosts on this machine', () => {
  let dir: string;
  let underlay: Underlay;
  let hosts: NamespaceHost[];
  const forwardBefore = readFile('/proc/sys/net/ipv4/ip_forward', 'utf8');
  const cluster = `/atoll/test-${process.pid}`;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'atoll-hosts-'));
    const claims = join(dir, 'subnets');
    const names = clusterNames(dir);
    underlay = new Underlay({ names, block: await claimFreeBlock({ claims, owner: dir }), claims });
    await underlay.create();
    hosts = [1, 2].map(
      (index) => new NamespaceHost({ underlay, name: `h${index}`, index, cgroup: `${cluster}/h${index}` }),
    );
    for (const host of hosts) await host.start();
    // Containers may have groups in hierarchies we make none in; they have to go too.
    for (const { mountPoint } of await listCgroupHierarchies()) {
      await mkdir(join(mountPoint, cluster, 'h1/container'), { recursive: true });
    }
  });

  afterAll(async () => {
    for (const host of hosts) await host.remove();
    await underlay.remove();
    expect(await readdir(join(dir, 'subnets'))).toEqual([]);
    expect(await (await CgroupTree.at(cluster)).exists()).toBe(false);
    expect(await linkExists(underlay.names.bridge)).toBe(false);
    expect(await linkExists(underlay.names.cable(1))).toBe(false);
    expect(await runCommand('nft', ['list', 'tables'])).not.toContain(underlay.names.nftTable);
    expect(await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).toBe(await forwardBefore);
    await rm(dir, { recursive: true });
  });

  const host = (index: number): NamespaceHost => {
    const found = hosts[index - 1];
    if (!found) throw new Error(`no host ${index}`);
    return found;
  };
  const run = async (at: NamespaceHost, ...argv: string[]): Promise<string> => {
    const child = await at.spawn(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk));
    const [code] = await once(child, 'close');
    return `${code} ${text.trim()}`;
  };
  const ping = (from: NamespaceHost, to: NamespaceHost) =>
    run(from, 'busybox', 'ping', '-c', '1', '-W', '1', to.address).then((text) => text.startsWith('0'));

  test('each has its own name, address and mounts', async () => {
    expect(await run(host(1), 'hostname')).toBe('0 h1');
    expect(await run(host(2), 'hostname')).toBe('0 h2');
    expect(await run(host(1), 'ip', '-o', '-4', 'addr', 'show', 'eth0')).toContain(`${host(1).address}/24`);
    const point = await mkdtemp(join(dir, 'mount-'));
    expect(await run(host(1), 'mount', '-t', 'tmpfs', 'atoll-test', point)).toMatch(/^0/);
    expect(await run(host(1), 'cat', '/proc/self/mounts')).toContain(point);
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(point);
  });

  test('they reach each other and the machine; a cut cable does not, a healed one does', async () => {
    expect(await ping(host(1), host(2))).toBe(true);
    await host(2).cut();
    expect(await ping(host(1), host(2))).toBe(false);
    await host(2).heal();
    await waitUntil(() => ping(host(1), host(2)), { what: 'the healed cable', timeoutMs: 10_000 });
  });

  test('killing a host ends everything on it, also stopped and frozen processes, and nothing elsewhere', async () => {
    const elsewhere = await host(2).spawn(['sleep', '1000'], { stdio: 'ignore' });
    const child = await host(1).spawn(['sleep', '1000'], { stdio: 'ignore' });
    child.kill('SIGSTOP');
    const group = await CgroupTree.at(`${host(1).cgroup}/frozen`);
    await group.create();
    const frozen = await host(1).spawn(['sleep', '1000'], { stdio: 'ignore' });
    group.add(frozen.pid as number);
    await freeze(group.path);
    await host(1).kill();
    expect(await (await CgroupTree.at(host(1).cgroup)).pids()).toEqual([]);
    expect(await linkExists(underlay.names.cable(1))).toBe(false);
    await expect(host(1).spawn(['true'], {})).rejects.toMatchObject({ reason: 'failed-precondition' });
    expect(await identifyProcess(elsewhere.pid as number)).toBeDefined();
    await host(1).start();
    expect(await ping(host(1), host(2))).toBe(true);
  });

  test('a second owner finds a living host by its holder and leaves it alone', async () => {
    const before = host(2).holder;
    const again = new NamespaceHost({
      underlay, name: 'h2', index: 2, cgroup: `${cluster}/h2`, ...(before ? { holder: before } : {}),
    }); // biome-ignore format: short
    await again.start();
    expect(again.holder).toEqual(before);
    expect(await run(again, 'hostname')).toBe('0 h2');
  });

  test('two clusters that start at the same time get different blocks', async () => {
    const claims = join(dir, 'race');
    const blocks = await Promise.all(['one', 'two', 'three'].map((owner) => claimFreeBlock({ claims, owner })));
    expect(new Set(blocks.map(formatBlock)).size).toBe(3);
    expect(blocks.some((block) => overlaps(block, underlay.block))).toBe(false);
  });
});

async function freeze(path: string): Promise<void> {
  await writeFile(`/sys/fs/cgroup/freezer${path}/freezer.state`, 'FROZEN', { flag: 'r+' }).catch(() =>
    writeFile(`/sys/fs/cgroup${path}/cgroup.freeze`, '1', { flag: 'r+' }),
  );
}
