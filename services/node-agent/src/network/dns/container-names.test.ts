import { execFileSync } from 'node:child_process';
import { type containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../../testing/test-host.ts';
import { TestNetworks } from '../../testing/test-networks.ts';

let host: TestHost;
let networks: TestNetworks;
let net: networkV1.NetworkRecord;
let asking: containerV1.ContainerRecord;
let asked: containerV1.ContainerRecord;
/** The agent is not asked: it may be dead. */
const pids = new Map<string, number>();

beforeAll(async () => {
  host = await TestHost.create();
  networks = new TestNetworks([host]);
  net = networks.create({
    subnets: [
      { cidr: '10.217.20.0/24', gateway: '10.217.20.1' },
      { cidr: 'fd00:220::/64', gateway: 'fd00:220::1' },
    ],
    ipv6: true,
  });
  asking = await started('asking');
  asked = await started('asked', { aliases: ['Store'] });
}, 120_000);
afterAll(async () => {
  for (const record of [asking, asked]) if (record) await host.remove(record);
  if (net) networks.remove(net);
  await host?.dispose();
}, 120_000);

async function started(
  name: string,
  wish: Parameters<TestNetworks['connect']>[2] = {},
): Promise<containerV1.ContainerRecord> {
  // What is not of the network is refused at once: nothing listens there.
  const dns = { dns: ['127.0.0.1'], dnsSearch: ['example.test'] };
  const spec = { name, network: { mode: net.name, hostname: name, ...dns } };
  const record = networks.connect(host.record(['sleep', '600'], spec), net, wish);
  await host.ensure(record);
  const { pid } = await host.start(record);
  pids.set(record.id, pid);
  return record;
}

/** Runs a program inside the container: in its network, with its files. */
async function inside(record: containerV1.ContainerRecord, ...command: string[]): Promise<string> {
  const ns = `/proc/${pids.get(record.id)}/ns`;
  return execFileSync('nsenter', [`--net=${ns}/net`, `--mount=${ns}/mnt`, ...command], { encoding: 'utf8' });
}

/** Sends bytes to the container's resolver as its programs do, and gives what comes back within the time. */
async function raw(kind: 'udp' | 'tcp', messages: readonly Buffer[], wanted: number): Promise<readonly Buffer[]> {
  const script = `
    const sent = ${JSON.stringify(messages.map((message) => message.toString('hex')))}.map((hex) => Buffer.from(hex, 'hex'));
    const out = [];
    const took = (bytes) => { out.push(bytes.toString('hex')); if (out.length === ${wanted}) done(); };
    const done = () => { console.log(JSON.stringify(out)); process.exit(); };
    setTimeout(done, 5000);
    if ('${kind}' === 'udp') {
      const socket = require('dgram').createSocket('udp4').on('message', took);
      for (const bytes of sent) socket.send(bytes, 53, '127.0.0.11');
    } else {
      const socket = require('net').connect(53, '127.0.0.11').on('data', took).on('close', done);
      for (const bytes of sent) socket.write(bytes);
    }`;
  const said = execFileSync('nsenter', [`--net=/proc/${pids.get(asking.id)}/ns/net`, process.execPath, '-e', script], {
    encoding: 'utf8',
  });
  return (JSON.parse(said) as string[]).map((hex) => Buffer.from(hex, 'hex'));
}

/** A question for an A record. */
function question(id: number, name: string): Buffer {
  const head = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

/** With a dot at its end: this nslookup would ask with the search list only. */
const lookUp = (name: string): Promise<string> =>
  inside(asking, '/bin/nslookup', /^[\d.]+$/.test(name) ? name : `${name}.`).catch(
    (error: { stdout: string }) => error.stdout,
  );

describe('names inside a container', { timeout: 60_000 }, () => {
  test('its files say where to ask', async () => {
    const text = await inside(asking, '/bin/cat', '/etc/resolv.conf');
    expect(text).toMatch(/^nameserver 127\.0\.0\.11\nsearch example\.test\noptions .*ndots:0$/m);
    const hosts = await inside(asking, '/bin/cat', '/etc/hosts');
    for (const address of ['ipv4Address', 'ipv6Address'] as const) {
      expect(hosts).toContain(`${asking.endpoints[0]?.[address]}\tasking`);
    }
  });

  test.each([
    ['name', () => 'asked'],
    ['alias', () => 'store'],
    ['short id', () => asked.id.slice(0, 12)],
    ['name with the network', () => `asked.${net.name}`],
  ])('%s', async (_what, name) => {
    const text = await lookUp(name());
    expect(text).toContain(asked.endpoints[0]?.ipv4Address);
    expect(text).toContain(asked.endpoints[0]?.ipv6Address);
  });

  test('reverse', async () => {
    expect(await lookUp(asked.endpoints[0]?.ipv4Address ?? '')).toContain(`asked.${net.name}`);
  });

  test('programs use them', async () => {
    expect(await inside(asking, '/bin/ping', '-c', '1', '-W', '2', 'asked')).toContain('1 packets received');
  });

  test('hundreds at once, and packets that are none in between', async () => {
    const good = Array.from({ length: 60 }, (_, index) => question(index + 1, 'asked'));
    const bad = [Buffer.from('x'), Buffer.alloc(3000, 255), question(900, 'asked').subarray(0, 20)];
    const said = await raw('udp', [...bad, ...good], 61);
    const found = said.filter((answer) => answer.readUInt16BE(6) === 1).map((answer) => answer.readUInt16BE(0));
    expect(new Set(found)).toEqual(new Set(good.map((_, index) => index + 1)));
  });

  test('by TCP, two questions in pieces', async () => {
    const frames = [question(5, 'asked'), question(6, 'nobody-here')].map((one) =>
      Buffer.concat([Buffer.from([0, one.length]), one]),
    );
    const stream = Buffer.concat(frames);
    const said = Buffer.concat(
      await raw('tcp', [stream.subarray(0, 9), stream.subarray(9, 40), stream.subarray(40)], 2),
    );
    expect(said.readUInt16BE(2)).toBe(5);
    expect(said.toString('hex')).toContain(ipHex(asked.endpoints[0]?.ipv4Address ?? ''));
  });

  test('answered again by the next agent, and by nobody meanwhile', async () => {
    await host.killAgent();
    expect(await raw('udp', [question(1, 'asked')], 1)).toEqual([]);
    await host.startAgent();
    await expect.poll(() => lookUp('asked'), { timeout: 10_000 }).toContain(asked.endpoints[0]?.ipv4Address);
  });

  test('of a container that has ended are gone, and come back with it', async () => {
    const member = networks.member(net, asked.id);
    networks.put(net, { ...member, running: false });
    await expect.poll(() => lookUp('asked'), { timeout: 2_000 }).not.toContain(member.ipv4Address);
    networks.put(net, { ...member, running: true });
    await expect.poll(() => lookUp('asked'), { timeout: 2_000 }).toContain(member.ipv4Address);
  });

  test('a name server of the container itself can have the port on all addresses', async () => {
    const script =
      "require('dgram').createSocket({type: 'udp4', reusePort: true}).bind(53, '0.0.0.0', () => { console.log('bound'); process.exit(); })";
    const said = execFileSync(
      'nsenter',
      [`--net=/proc/${pids.get(asking.id)}/ns/net`, process.execPath, '-e', script],
      {
        encoding: 'utf8',
      },
    );
    expect(said).toBe('bound\n');
    expect(await lookUp('asked')).toContain(asked.endpoints[0]?.ipv4Address);
  });

  test('a container without a network of a user has no such resolver', async () => {
    const plain = host.record(['cat', '/etc/resolv.conf'], { network: { mode: 'bridge' } });
    expect((await host.run(plain)).output).not.toContain('127.0.0.11');
    await host.scheduler.order({ action: nodeV1.Action.REMOVE, record: plain, force: true });
  });
});

function ipHex(address: string): string {
  return Buffer.from(address.split('.').map(Number)).toString('hex');
}
