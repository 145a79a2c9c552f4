import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { bridgeNameOf } from './bridge.ts';

const S = containerV1.ContainerState;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

const server = ['nc', '-ll', '-p', '80', '-e', 'sh', '-c', 'echo hello from $(hostname)'];

async function serving(
  hostPort: number,
  more: Partial<containerV1.PortBinding> = {},
): Promise<containerV1.ContainerRecord> {
  const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort, ...more }];
  const record = host.record(server, { network: { mode: 'bridge', ports } });
  await host.ensure(record);
  await host.start(record);
  return record;
}

/** What a TCP server says, tried until it listens. */
async function said(address: string, port: number): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      const socket = connect({ host: address, port, timeout: 2_000 });
      socket.once('timeout', () => socket.destroy(new Error('silent')));
      await once(socket, 'connect');
      let text = '';
      for await (const piece of socket) text += String(piece);
      if (text !== '') return text;
    } catch (error) {
      if (attempt > 100) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A change is told at once and looked at within a quarter of a second; one minute is what it takes without a watch. */
const POLL = { timeout: 15_000 };

function attempt(list: () => string): string {
  try {
    return list();
  } catch {
    return '';
  }
}

function inHost(...command: string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${host.name}`, ...command], { encoding: 'utf8', stdio: 'pipe' });
}

describe('the bridge network', { timeout: 120_000 }, () => {
  test('gives addresses of its block, names and a way to the host', async () => {
    const script =
      'ip -o -4 addr show eth0; cat /etc/hosts; ping -c 1 -W 2 10.231.7.1 >/dev/null && echo reached; ip route';
    const record = host.record(['sh', '-c', script], {
      network: { mode: 'default', hostname: 'web', extraHosts: ['db:10.9.8.7'] },
    });
    await host.ensure(record);
    const created = await host.scheduler.state(record.id, S.CREATED);
    expect(created).toMatchObject({ gateway: '10.231.7.1', ipPrefixLen: 24 });
    expect(created.macAddress).toMatch(/^02:42:0a:e7:07:/);
    await host.start(record);
    const ended = await host.scheduler.state(record.id, S.EXITED);
    expect(ended.ipAddress).toBe('');
    const output = await host.logs(record.id);
    expect(output).toContain(`inet ${created.ipAddress}/24`);
    expect(output).toContain(`${created.ipAddress}\tweb`);
    expect(output).toContain('10.9.8.7\tdb');
    expect(output).toContain('reached');
    expect(output).toContain('default via 10.231.7.1');
    await host.remove(record);
  });

  test('none has only loopback, host has the links of the host', async () => {
    const none = host.record(['ls', '/sys/class/net'], { network: { mode: 'none' } });
    expect((await host.run(none)).output).toBe('lo\n');
    const shared = host.record(['ls', '/sys/class/net'], { network: { mode: 'host' } });
    expect((await host.run(shared)).output).toContain('uplink');
    await Promise.all([host.remove(none), host.remove(shared)]);
  });
});

describe('published ports', { timeout: 120_000 }, () => {
  test('answer from outside, from the host and from a neighbour, until the container ends', async () => {
    const record = await serving(18_080);
    expect(await said(host.hostIp, 18_080)).toMatch(/^hello from /);
    expect(inHost('busybox', 'nc', '-w', '2', host.hostIp, '18080')).toMatch(/^hello from /);
    const script = `nc -w 2 ${host.hostIp} 18080`;
    const neighbour = host.record(['sh', '-c', script], { network: { mode: 'bridge' } });
    expect((await host.run(neighbour)).output).toMatch(/^hello from /);
    await host.scheduler.order({ action: nodeV1.Action.STOP, record, timeoutSeconds: 0n });
    await expect(once(connect({ host: host.hostIp, port: 18_080 }), 'connect')).rejects.toThrow('ECONNREFUSED');
    await Promise.all([host.remove(record), host.remove(neighbour)]);
  });

  test('on one address only', async () => {
    const record = await serving(18_081, { hostIp: host.hostIp });
    expect(await said(host.hostIp, 18_081)).toMatch(/^hello from /);
    expect(inHost('nft', 'list', 'ruleset')).toContain(`${host.hostIp} . tcp . 18081`);
    await host.remove(record);
    expect(inHost('nft', 'list', 'ruleset')).not.toContain('18081');
  });

  test('taken by another container, or by a program of the host', async () => {
    const record = await serving(18_082);
    const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 18_082 }];
    const second = host.record(server, { network: { mode: 'bridge', ports } });
    await host.ensure(second);
    const result = await host.scheduler.tryOrder({ action: nodeV1.Action.START, record: second });
    expect(result).toMatchObject({
      code: 10,
      message: expect.stringContaining('Bind for 0.0.0.0:18082 failed: port is already allocated'),
    });
    await host.remove(record);
    const listener = spawn('nsenter', [`--net=/run/netns/${host.name}`, 'busybox', 'nc', '-l', '-p', '18082']);
    while (!inHost('ss', '-ltn').includes(':18082')) await new Promise((resolve) => setTimeout(resolve, 20));
    const third = await host.scheduler.tryOrder({ action: nodeV1.Action.START, record: second });
    expect(third.message).toContain('failed to bind host port 0.0.0.0:18082/tcp: address already in use');
    listener.kill('SIGKILL');
    await host.remove(second);
  });

  test('are there again after the agent was killed, even when somebody flushed the rules', async () => {
    const record = await serving(18_083);
    await host.killAgent();
    inHost('nft', 'flush', 'ruleset');
    await host.startAgent();
    expect(await said(host.hostIp, 18_083)).toMatch(/^hello from /);
    await host.remove(record);
  });
});

describe('E33: rules that somebody else has changed', { timeout: 120_000 }, () => {
  const table = (family: string) => inHost('nft', '-t', 'list', 'table', family, bridgeNameOf(host.nodeId));

  test.each([
    ['all rules flushed', ['nft', 'flush', 'ruleset']],
    ['our table deleted', ['nft', 'delete', 'table', 'ip', 'BRIDGE']],
    ['our other table deleted', ['nft', 'delete', 'table', 'bridge', 'BRIDGE']],
    ['a chain flushed', ['nft', 'flush', 'chain', 'ip', 'BRIDGE', 'forward']],
    ['a rule added', ['nft', 'insert', 'rule', 'ip', 'BRIDGE', 'raw_prerouting', 'accept']],
    ['a chain added', ['nft', 'add', 'chain', 'bridge', 'BRIDGE', 'mine']],
  ])('%s: they are as they were a moment later, ports too', async (_name, command) => {
    const record = await serving(18_085);
    const before = [table('ip'), table('bridge')];
    const change = () => inHost(...command.map((word) => (word === 'BRIDGE' ? bridgeNameOf(host.nodeId) : word)));
    change();
    await expect.poll(() => [attempt(() => table('ip')), attempt(() => table('bridge'))], POLL).toEqual(before);
    expect(await said(host.hostIp, 18_085)).toMatch(/^hello from /);
    // And once more: what was repaired is watched too.
    change();
    await expect.poll(() => [attempt(() => table('ip')), attempt(() => table('bridge'))], POLL).toEqual(before);
    await host.remove(record);
  });

  test('control: without an agent they stay away', async () => {
    await host.killAgent();
    inHost('nft', 'flush', 'ruleset');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(inHost('nft', 'list', 'ruleset')).toBe('');
    await host.startAgent();
  });

  test('a start and its own writing wake nobody; the watch ends with the agent', async () => {
    // Other test runs have hosts of the same name, so those of this agent count: by their parent, then by their numbers.
    const watches = () =>
      execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line.includes(`watch-tables ${bridgeNameOf(host.nodeId)}`))
        .map((line) => line.trim().split(/\s+/) as [string, string]);
    const own = () => watches().filter(([, parent]) => parent === String(host.agent?.pid));
    await expect.poll(own).toHaveLength(1);
    const pids = own().map(([pid]) => pid);
    const written = host.output.length;
    const record = await serving(18_086);
    await host.remove(record);
    expect(host.output.slice(written)).not.toContain('somebody has changed the rules');
    await host.killAgent();
    await expect.poll(() => watches().filter(([pid]) => pids.includes(pid))).toHaveLength(0);
    await host.startAgent();
  });
});

describe('isolation', { timeout: 120_000 }, () => {
  test('unpublished ports are closed to other machines; foreign source addresses do not leave', async () => {
    const record = await serving(18_084);
    const { status } = await host.runtime.getStatus({ containerId: record.id });
    const rules = inHost('nft', 'list', 'table', 'ip', bridgeNameOf(host.nodeId));
    expect(rules).toContain('ip saddr != 10.231.7.0/24');
    execFileSync('ip', ['route', 'add', `${status?.ipAddress}/32`, 'via', host.hostIp]);
    try {
      const socket = connect({ host: status?.ipAddress ?? '', port: 80 });
      const outcome = await Promise.race([
        once(socket, 'connect').then(
          () => 'connected',
          () => 'refused',
        ),
        new Promise((resolve) => setTimeout(() => resolve('silent'), 500)),
      ]);
      socket.destroy();
      expect(outcome).toBe('silent');
    } finally {
      execFileSync('ip', ['route', 'del', `${status?.ipAddress}/32`, 'via', host.hostIp]);
    }
    await host.remove(record);
  });
});
