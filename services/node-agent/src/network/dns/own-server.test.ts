import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildFailpointShim, buildProbe } from '../../runtime/testing/shim-binary.ts';
import { TestHost, type TestHostOptions } from '../../testing/test-host.ts';
import { testLayer } from '../../testing/test-image.ts';
import { reconnect, TestNetworks } from '../../testing/test-networks.ts';

const KINDS: readonly [string, TestHostOptions][] = [
  ['the native runtime', {}],
  ['user namespaces', { userNamespaces: 'with' }],
  ['runc', { runtime: 'runc' }],
];

/** The first asks the second, which has a name server. */
describe.each(KINDS)('a name server in a container of %s', { timeout: 60_000 }, (_kind, options) => {
  let host: TestHost;
  let networks: TestNetworks;
  let net: networkV1.NetworkRecord;
  let asking: containerV1.ContainerRecord;
  let probe: containerV1.Layer;
  const pids = new Map<string, number>();

  beforeAll(async () => {
    host = await TestHost.create(options);
    networks = new TestNetworks([host]);
    net = networks.create();
    probe = await testLayer(host.registry, async (folder) => {
      await mkdir(join(folder, 'bin'));
      await copyFile(buildProbe(), join(folder, 'bin/probe'));
    });
    asking = await started(networks.connect(make('asking', ['sleep', '600'], net.name), net));
  }, 120_000);
  afterAll(async () => {
    if (asking) await host.remove(asking);
    if (net) networks.remove(net);
    await host?.dispose();
  }, 60_000);

  function make(name: string, argv: readonly string[], mode: string): containerV1.ContainerRecord {
    const image = { reference: 'busybox', layers: [probe, host.layer] };
    // What nobody has is refused at once: nothing listens there.
    return host.record(argv, { name, image, network: { mode, hostname: name, dns: ['127.0.0.1'] } });
  }

  async function started(record: containerV1.ContainerRecord): Promise<containerV1.ContainerRecord> {
    await host.ensure(record);
    pids.set(record.id, (await host.start(record)).pid);
    return record;
  }

  const inside = (record: containerV1.ContainerRecord, ...command: string[]): string =>
    execFileSync('nsenter', [`--net=/proc/${pids.get(record.id)}/ns/net`, ...command], {
      encoding: 'utf8',
      timeout: 10_000,
    });

  /** What comes from port 53 there. */
  function asked(from: containerV1.ContainerRecord, address: string, kind: 'udp' | 'tcp'): string {
    const script =
      kind === 'udp'
        ? `const s = require('dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}'); s.on('message', (m, from) => { console.log(m + ' ' + from.port); process.exit(); }); s.send('x', 53, '${address}');`
        : `const s = require('net').connect(53, '${address}'); s.on('data', (m) => { console.log(m + ' ' + s.remotePort); process.exit(); });`;
    return inside(from, process.execPath, '-e', script);
  }

  const resolved = (from: containerV1.ContainerRecord): string =>
    inside(from, 'busybox', 'nslookup', 'asking.', '127.0.0.11');

  const bound = (record: containerV1.ContainerRecord, runs = 1) =>
    expect.poll(() => host.logs(record.id), { timeout: 10_000 }).toBe('bound\n'.repeat(runs));

  /** Its own server answers at its address, and the cluster's at the resolver's, by UDP and TCP. */
  async function servesBoth(record: containerV1.ContainerRecord, runs = 1): Promise<void> {
    await bound(record, runs);
    const address = record.endpoints[0]?.ipv4Address ?? '';
    for (const kind of ['udp', 'tcp'] as const) {
      expect(asked(asking, address, kind)).toBe('own 53\n');
      expect(asked(record, '127.0.0.1', kind)).toBe('own 53\n');
    }
    expect(resolved(record)).toContain(asking.endpoints[0]?.ipv4Address);
    expect(overTcp(record)).toContain(hexOf(asking.endpoints[0]?.ipv4Address ?? ''));
  }

  /** The answer to a question for the first one's name, in hex. */
  function overTcp(from: containerV1.ContainerRecord): string {
    const question = Buffer.from('\0\x05\x01\0\0\x01\0\0\0\0\0\0\x06asking\0\0\x01\0\x01', 'latin1');
    const framed = Buffer.concat([Buffer.from([0, question.length]), question]).toString('hex');
    const script = `const s = require('net').connect(53, '127.0.0.11', () => s.write(Buffer.from('${framed}', 'hex'))); s.on('data', (m) => { console.log(m.toString('hex')); process.exit(); });`;
    return inside(from, process.execPath, '-e', script);
  }

  test.each(['4', '6'])('has port 53 on all addresses, IPv%s, and names resolve', async (family) => {
    const record = await started(networks.connect(make('server', ['probe', 'own53', family], net.name), net));
    await servesBoth(record);
    const again = await host.scheduler.order({ action: nodeV1.Action.RESTART, record, timeoutSeconds: 0n });
    pids.set(record.id, again.pid);
    await servesBoth(record, 2);
    await host.remove(record);
  });

  test('keeps it when its container is connected while it runs', async () => {
    const record = await started(make('server', ['probe', 'own53', '4'], 'bridge'));
    await bound(record);
    const connected = networks.connect(record, net);
    await reconnect(host, connected);
    await servesBoth(connected);
    await host.remove(connected);
  });

  test('can have its packets tracked, and rules of its own flushed', async () => {
    const record = await started(networks.connect(make('server', ['probe', 'own53', '4'], net.name), net));
    const rules = `table inet own {
      chain in { type filter hook input priority filter; policy drop; ct state established,related accept; udp dport 53 accept; tcp dport 53 accept; iif lo meta l4proto { tcp, udp } ct original proto-dst 53 accept; }
      chain out { type filter hook output priority filter; ct state invalid drop; }
    }`;
    inside(record, 'nft', rules);
    await servesBoth(record);
    inside(record, 'nft', 'flush', 'ruleset');
    await servesBoth(record);
    await host.remove(record);
  });

  test('on a kernel without such rules has it only if it shares, and names resolve', async () => {
    const shipped = host.shim;
    const file = join(host.dataRoot, 'spawner/failpoint');
    const name = 'dns.no-tables';
    const next = async (shim: string): Promise<void> => {
      await host.killAgent();
      host.shim = shim;
      await host.startAgent();
    };
    await writeFile(file, Buffer.concat([Buffer.from(name), Buffer.alloc(64 - name.length)]));
    await next(buildFailpointShim());
    const record = await started(networks.connect(make('server', ['sleep', '600'], net.name), net));
    expect(inside(record, buildProbe(), 'own53', '4')).toBe('EADDRINUSE\n');
    expect(resolved(record)).toContain(asking.endpoints[0]?.ipv4Address);
    expect(overTcp(record)).toContain(hexOf(asking.endpoints[0]?.ipv4Address ?? ''));
    await host.remove(record);
    await rm(file);
    await next(shipped);
  });
});

const hexOf = (address: string): string => Buffer.from(address.split('.').map(Number)).toString('hex');
