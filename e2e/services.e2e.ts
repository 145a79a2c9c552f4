import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { PROGRAMS, Project } from './lib/compose-project.ts';
import { docker, dockerOk, runOn, type TestContainer, unique } from './lib/docker.ts';
import { until } from './lib/until.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');
const SERVICE = ['-l', 'atoll.service=web'];

const serve = (text: string): string[] => ['sh', '-c', `touch /ready; exec nc -ll -p 80 -e echo ${text}`];
const exec = (container: TestContainer, script: string): Promise<string> =>
  dockerOk(['exec', container.name, 'sh', '-c', script]);
const endOf = (container: TestContainer, network: string): Promise<Record<string, unknown>> =>
  container.inspect<Record<string, unknown>>(`(index .NetworkSettings.Networks "${network}")`);

/** What a name resolves to, in order; empty where it does not. */
async function addresses(client: TestContainer, name: string, type = 'a'): Promise<string[]> {
  const said = await exec(client, `nslookup -type=${type} ${name}. || true`);
  const answer = said.slice(said.indexOf('\n\n'));
  return [...answer.matchAll(/^Address(?: \d+)?: (\S+)/gm)].map(([, address = '']) => address).sort();
}

/** Who answers to ten connections. */
async function answers(client: TestContainer, target: string): Promise<string[]> {
  const said = await exec(
    client,
    `for i in 1 2 3 4 5 6 7 8 9 10; do nc -w 2 ${target} 80 </dev/null || echo none; done`,
  );
  return [...new Set(said.split('\n'))].sort();
}

/** Waits until ten connections are answered by some of these, and all of them have answered. */
async function answeredBy(client: TestContainer, target: string, wanted: readonly string[]): Promise<void> {
  const seen = new Set<string>();
  await until(`${target} to be ${wanted.join(', ')}`, async () => {
    const now = await answers(client, target);
    if (now.some((one) => !wanted.includes(one))) seen.clear();
    else for (const one of now) seen.add(one);
    return seen.size === wanted.length;
  });
}

describe('a service', () => {
  test('has one address on every host that leads to those that serve', async () => {
    const net = unique('e2e-net');
    await dockerOk(['network', 'create', '--ipv6', net]);
    try {
      await using stack = new AsyncDisposableStack();
      const check = ['--health-cmd', 'test -e /ready', '--health-interval', '200ms', '--health-retries', '1'];
      const run = async (host: string, args: readonly string[], command: readonly string[]): Promise<TestContainer> =>
        stack.use(await runOn(host, ['--network', net, ...args], command));
      const [one, two, three, ...clients] = await Promise.all([
        run(h1, SERVICE, serve('one')),
        run(h2, SERVICE, serve('two')),
        run(h3, [...SERVICE, ...check], serve('three')),
        ...[h1, h2, h3].map((host) => run(host, [], ['sleep', '600'])),
      ]);
      const [client] = clients as [TestContainer];
      await Promise.all(clients.map((each) => answeredBy(each, 'web', ['one', 'three', 'two'])));
      const found = await Promise.all(clients.map((each) => addresses(each, 'web')));
      expect(new Set(found.flat()).size).toBe(1);
      const ends = await Promise.all([one, two, three].map((each) => endOf(each, net)));
      expect(await addresses(client, 'tasks.web')).toEqual(ends.map(({ IPAddress }) => IPAddress).sort());
      for (const end of ends) expect(end['DNSNames']).toContain('web');
      const [six = ''] = await addresses(client, 'web', 'aaaa');
      await answeredBy(client, six, ['one', 'three', 'two']);
      await exec(three, 'rm /ready');
      await Promise.all(clients.map((each) => answeredBy(each, 'web', ['one', 'two'])));
      await dockerOk(['stop', '-t', '0', two.name]);
      await answeredBy(client, 'web', ['one']);
      expect(await addresses(client, 'tasks.web')).toEqual([ends[0]?.['IPAddress']]);
      await exec(three, 'touch /ready');
      await dockerOk(['start', two.name]);
      await answeredBy(client, 'web', ['one', 'three', 'two']);
      await dockerOk(['stop', '-t', '0', one.name, two.name, three.name]);
      expect(await addresses(client, 'web')).toEqual([]);
      await dockerOk(['start', one.name]);
      expect(await addresses(client, 'web')).toEqual(found[0]);
    } finally {
      await docker(['network', 'rm', net]);
    }
  });

  test('is refused where it cannot be', async () => {
    for (const [args, text] of [
      [['-l', 'atoll.service=We_b'], 'invalid value for label atoll.service: "We_b"'],
      [[...SERVICE, '--network', 'host'], 'label atoll.service: with network mode host'],
    ] as const) {
      const { code, stderr } = await docker(['create', ...args, 'busybox', 'true']);
      expect([code, stderr]).toEqual([1, expect.stringContaining(text)]);
    }
  });

  test('is scaled by compose', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-services-'));
    try {
      const command = ['sh', '-c', 'exec nc -ll -p 80 -e hostname'];
      const services = {
        web: { image: 'busybox', command, labels: { 'atoll.service': 'web' }, stop_grace_period: '0s' },
        client: { image: 'busybox', command: ['sleep', '600'], stop_grace_period: '0s' },
      };
      await writeFile(join(folder, 'compose.yaml'), JSON.stringify({ services }));
      await using project = new Project(PROGRAMS['compose 2'], join(folder, 'compose.yaml'));
      await project.ok('up', '-d', '--scale', 'web=3');
      const ask = async (script: string): Promise<string[]> =>
        (await project.ok('exec', '-T', 'client', 'sh', '-c', script)).trim().split('\n');
      const seen = new Set<string>();
      await until('all three to answer', async () => {
        for (const one of await ask('for i in 1 2 3 4 5 6 7 8 9 10; do nc -w 2 web 80 </dev/null; done')) seen.add(one);
        return seen.size === 3;
      });
      expect((await ask('nslookup -type=a web. | grep ^Address')).length).toBe(2);
      expect((await ask('nslookup -type=a tasks.web. | grep ^Address')).length).toBe(4);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
