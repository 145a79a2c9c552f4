import { describe, expect, test } from 'vitest';
import {
  BINPACK,
  type Claim,
  formatBytes,
  formatCpus,
  NodeInfo,
  needsHostUsers,
  Pipeline,
  type PlacementRequest,
  parseConstraint,
} from './index.ts';

const MIB = 1024 * 1024;
const NONE: Claim = { memory: 0, nanoCpus: 0, ports: [] };

interface Shape {
  readonly memory?: number;
  readonly cpus?: number;
  readonly ready?: boolean;
  readonly availability?: 'active' | 'pause' | 'drain';
  readonly labels?: Record<string, string>;
  readonly arch?: string;
  readonly runtimes?: readonly string[];
  readonly usernsRemap?: boolean;
  readonly noEncryption?: string;
  readonly noAppArmor?: string;
  readonly noStorageLimits?: string;
  readonly noSELinux?: string;
}

function node(id: string, shape: Shape = {}): NodeInfo {
  return new NodeInfo(
    {
      id,
      hostname: id,
      os: 'linux',
      architecture: shape.arch ?? 'amd64',
      runtimes: new Set(['native', ...(shape.runtimes ?? [])]),
      labels: shape.labels ?? {},
      memory: (shape.memory ?? 1024) * MIB,
      nanoCpus: (shape.cpus ?? 2) * 1e9,
      usernsRemap: shape.usernsRemap ?? false,
      noEncryption: shape.noEncryption,
      noAppArmor: shape.noAppArmor,
      noStorageLimits: shape.noStorageLimits,
      noSELinux: shape.noSELinux,
    },
    { ready: shape.ready ?? true, availability: shape.availability ?? 'active' },
  );
}

function wants(
  claim: Partial<Claim> = {},
  constraints: readonly string[] = [],
  avoid: readonly string[] = [],
): PlacementRequest {
  return { claim: { ...NONE, ...claim }, constraints: constraints.map(parseConstraint), avoid: new Set(avoid) };
}

function chosen(nodes: readonly NodeInfo[], request: PlacementRequest, pipeline = new Pipeline()): string | undefined {
  return pipeline.place(nodes, request).node?.facts.id;
}

describe('filters', () => {
  const port = (number: number, ip = '', protocol = 'tcp') => ({ ip, port: number, protocol });
  test.each([
    ['a host that is down', node('h1', { ready: false }), wants(), 'no suitable node: 1 host: 1 is down'],
    ['a paused host', node('h1', { availability: 'pause' }), wants(), 'no suitable node: 1 host: 1 is paused'],
    [
      'a runtime that is not there',
      node('h1', { runtimes: ['runc'] }),
      { ...wants(), runtime: 'runsc' },
      'no suitable node: 1 host: 1 lacks the runtime (runsc)',
    ],
    ['a drained host', node('h1', { availability: 'drain' }), wants(), 'no suitable node: 1 host: 1 is drained'],
    [
      'too little memory',
      node('h1', { memory: 300 }),
      wants({ memory: 512 * MIB }),
      'no suitable node: 1 host: 1 has too little free memory (needs 512 MiB; most free: 300 MiB on h1)',
    ],
    [
      'too few CPUs',
      node('h1', { cpus: 2 }),
      wants({ nanoCpus: 2.5e9 }),
      'no suitable node: 1 host: 1 has too few free CPUs (needs 2.5 CPUs; most free: 2 CPUs on h1)',
    ],
    [
      'another host is named',
      node('h1'),
      wants({}, ['node.hostname==h9']),
      'no suitable node: 1 host: 1 does not match node.hostname==h9',
    ],
    [
      "a host with user namespaces for what needs the host's",
      node('h1', { usernsRemap: true }),
      { ...wants(), hostUsers: 'privileged mode' },
      'no suitable node: 1 host: 1 runs containers in user namespaces (privileged mode)',
    ],
    [
      'a host that cannot encrypt for what is in an encrypted network',
      node('h1', { noEncryption: 'the program wg is not installed' }),
      { ...wants(), encrypted: 'secret' },
      'no suitable node: 1 host: 1 cannot encrypt (network secret is encrypted; h1: the program wg is not installed)',
    ],
    [
      'a host without AppArmor for what names a profile',
      node('h1', { noAppArmor: 'its kernel has none' }),
      { ...wants(), apparmor: 'web' },
      'no suitable node: 1 host: 1 has no AppArmor (for profile web; h1: its kernel has none)',
    ],
    [
      'a host that cannot limit storage for what has a limit',
      node('h1', { noStorageLimits: 'its data root is on btrfs' }),
      { ...wants(), limitsStorage: true },
      'no suitable node: 1 host: 1 cannot limit what a container stores (h1: its data root is on btrfs)',
    ],
    [
      'a host without SELinux for what names a label',
      node('h1', { noSELinux: 'its kernel has none' }),
      { ...wants(), selinux: 'label=type:web_t' },
      'no suitable node: 1 host: 1 does not use SELinux (for label=type:web_t; h1: its kernel has none)',
    ],
  ])('%s is refused and the refusal says why', (_name, one, request, reason) => {
    expect(new Pipeline().place([one], request)).toEqual({ node: undefined, reason });
  });

  test('what needs the users of the host goes where containers have them', () => {
    const hosts = [node('h1', { usernsRemap: true }), node('h2')];
    expect(chosen(hosts, { ...wants(), hostUsers: 'privileged mode' })).toBe('h2');
    expect(chosen(hosts, wants())).toBe('h1');
  });

  test('what is in an encrypted network goes where it can be encrypted', () => {
    const hosts = [node('h1', { noEncryption: 'no WireGuard' }), node('h2')];
    expect(chosen(hosts, { ...wants(), encrypted: 'secret' })).toBe('h2');
    expect(chosen(hosts, wants())).toBe('h1');
  });

  test('what names an AppArmor profile goes where there are some', () => {
    const hosts = [node('h1', { noAppArmor: 'its kernel has none' }), node('h2')];
    expect(chosen(hosts, { ...wants(), apparmor: 'web' })).toBe('h2');
  });

  test('what has a limit of storage goes where it holds', () => {
    const hosts = [node('h1', { noStorageLimits: 'its data root is on btrfs' }), node('h2')];
    expect(chosen(hosts, { ...wants(), limitsStorage: true })).toBe('h2');
    expect(chosen(hosts, wants())).toBe('h1');
  });

  test('what names an SELinux label goes where SELinux is used', () => {
    const hosts = [node('h1', { noSELinux: 'its kernel has none' }), node('h2')];
    expect(chosen(hosts, { ...wants(), selinux: 'label=type:web_t' })).toBe('h2');
    expect(chosen(hosts, wants())).toBe('h1');
  });

  const own = { usernsMode: '', pidMode: '', runtime: '', network: { mode: 'default' } };
  const security = { privileged: false, writableCgroups: false };
  test.each([
    ['nothing special', own, undefined],
    ['a privileged one', { ...own, security: { ...security, privileged: true } }, /^privileged mode is incompatible/],
    ["the host's network", { ...own, network: { mode: 'host' } }, /^cannot share the host's network namespace/],
    ["the host's processes", { ...own, pidMode: 'host' }, /^cannot share the host PID namespace/],
    ['the native runtime by its name', { ...own, runtime: 'native' }, undefined],
    ['another runtime', { ...own, runtime: 'runc' }, /^runtime runc cannot be had when user namespaces are enabled/],
    ['a writable cgroup', { ...own, security: { ...security, writableCgroups: true } }, /writable-cgroups/],
    [
      'all of it with the users of the host',
      { ...own, usernsMode: 'host', pidMode: 'host', network: { mode: 'host' } },
      undefined,
    ],
  ])('users of the host are needed: %s', (_name, spec, reason) => {
    if (reason) expect(needsHostUsers(spec)).toMatch(reason);
    else expect(needsHostUsers(spec)).toBeUndefined();
  });

  test('what fits exactly is taken', () => {
    expect(chosen([node('h1', { memory: 512 })], wants({ memory: 512 * MIB, nanoCpus: 2e9 }))).toBe('h1');
  });

  test.each([
    ['the same port', port(80), port(80), false],
    ['the same port on two addresses', port(80, '10.0.0.1'), port(80, '10.0.0.2'), true],
    ['one address against all', port(80, '10.0.0.1'), port(80, '0.0.0.0'), false],
    ['all against one address', port(80, '::'), port(80, '10.0.0.1'), false],
    ['another protocol', port(80), port(80, '', 'udp'), true],
    ['another port', port(80), port(81), true],
  ])('host ports: %s', (_name, held, wanted, fits) => {
    const one = node('h1');
    const claim = { ...NONE, ports: [held] };
    one.add(claim);
    expect(chosen([one], wants({ ports: [wanted] })) !== undefined).toBe(fits);
    one.remove(claim);
    expect(chosen([one], wants({ ports: [wanted] }))).toBe('h1');
  });
});

describe('explanation', () => {
  test('counts hosts by reason, most frequent first', () => {
    const nodes = [node('h1', { memory: 100 }), node('h2', { memory: 300 }), node('h3', { ready: false })];
    expect(new Pipeline().place(nodes, wants({ memory: 512 * MIB }))).toMatchObject({
      reason:
        'no suitable node: 3 hosts: 2 have too little free memory (needs 512 MiB; most free: 300 MiB on h2), 1 is down',
    });
  });
  test('says when there are no hosts at all', () => {
    expect(new Pipeline().place([], wants())).toMatchObject({ reason: 'no suitable node: the cluster has no hosts' });
  });
  test('names the ports', () => {
    const one = node('h1');
    const ports = [{ ip: '', port: 8080, protocol: 'tcp' }];
    one.add({ ...NONE, ports });
    expect(new Pipeline().place([one], wants({ ports }))).toMatchObject({
      reason: 'no suitable node: 1 host: 1 has a wanted host port in use (8080/tcp)',
    });
  });
});

describe('constraints', () => {
  const facts = node('h2', { labels: { disk: 'ssd', zone: 'Eu-West' } }).facts;
  test.each([
    ['node.hostname==h2', true],
    ['node.hostname == H2', true],
    ['node.hostname!=h2', false],
    ['node.id==h2', true],
    ['node==h2', true],
    ['constraint:node==h2', true],
    ['node.labels.disk==ssd', true],
    ['node.labels.disk!=ssd', false],
    ['node.labels.none!=x', true],
    ['node.labels.none==x', false],
    ['node.labels.constructor!=x', true],
    ['engine.labels.zone==eu-*', true],
    ['disk==ssd', true],
    ['disk==s*d', true],
    ['disk==s*s*d', true],
    ['disk==ss*sd', false],
    ['disk==*', true],
    ['node.platform.os==linux', true],
    ['node.platform.arch==arm64', false],
  ])('%s is %s', (text, want) => {
    expect(parseConstraint(text).matches(facts)).toBe(want);
  });

  test.each([
    '',
    'disk',
    'disk=ssd',
    'disk==',
    '==ssd',
    'node.role==manager',
    'disk==/s.d/',
    `disk==${'x'.repeat(600)}`,
  ])('%j is refused', (text) => {
    expect(() => parseConstraint(text)).toThrow(expect.objectContaining({ reason: 'invalid-argument' }));
  });

  test('a wish decides among hosts that fit and never refuses', () => {
    const nodes = [node('h1'), node('h2', { labels: { disk: 'ssd' } })];
    nodes[1]?.add(NONE);
    expect(chosen(nodes, wants({}, ['disk==~ssd']))).toBe('h2');
    expect(chosen(nodes, wants({}, ['disk==~tape']))).toBe('h1');
  });
});

describe('scorers', () => {
  test('spread levels the number of containers', () => {
    const nodes = ['h1', 'h2', 'h3'].map((id) => node(id));
    for (let i = 0; i < 9; i++) new Pipeline().place(nodes, wants()).node?.add(NONE);
    expect(nodes.map((one) => one.containers)).toEqual([3, 3, 3]);
  });
  test('binpack fills one host before the next', () => {
    const nodes = ['h1', 'h2', 'h3'].map((id) => node(id));
    const pipeline = new Pipeline({ scorer: BINPACK });
    const claim = { ...NONE, memory: 256 * MIB };
    for (let i = 0; i < 5; i++) pipeline.place(nodes, wants(claim)).node?.add(claim);
    expect(nodes.map((one) => one.containers).sort()).toEqual([0, 1, 4]);
  });
  test('avoided hosts are used only when no other fits', () => {
    const nodes = [node('h1'), node('h2')];
    nodes[1]?.add(NONE);
    expect(chosen(nodes, wants({}, [], ['h1']))).toBe('h2');
    expect(chosen(nodes, wants({}, [], ['h1', 'h2']))).toBe('h1');
  });
});

describe('properties over random clusters', () => {
  // A fixed linear congruential sequence: the same cases on every run.
  let state = 42;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % below;
  };
  const cases = Array.from({ length: 200 }, (_, index) => index);

  test('what is placed fits, reservations never exceed the host, claims taken back leave nothing', () => {
    for (const _case of cases) {
      const nodes = Array.from({ length: 1 + random(8) }, (_, i) =>
        node(`h${i}`, { memory: 64 + random(512), cpus: 1 + random(4), ready: random(4) > 0 }),
      );
      const placed: { readonly node: NodeInfo; readonly claim: Claim }[] = [];
      for (let i = 0; i < 40; i++) {
        const claim = {
          memory: random(128) * MIB,
          nanoCpus: random(3) * 5e8,
          ports: random(3) === 0 ? [{ ip: '', port: 8000 + random(4), protocol: 'tcp' }] : [],
        };
        const free = nodes.filter((one) => one.ready).map((one) => one.freeMemory);
        const result = new Pipeline({ scorer: random(2) === 0 ? BINPACK : (one) => 1 / (1 + one.containers) }).place(
          nodes,
          wants(claim),
        );
        if (!result.node) {
          expect(result.reason).toMatch(/^no suitable node: /);
          if (claim.nanoCpus === 0 && claim.ports.length === 0)
            expect(Math.max(-1, ...free)).toBeLessThan(Math.max(claim.memory, 0) || 0.5);
          continue;
        }
        expect(result.node.ready).toBe(true);
        expect(claim.ports.some((port) => result.node.ports.collides(port))).toBe(false);
        result.node.add(claim);
        placed.push({ node: result.node, claim });
        expect(result.node.freeMemory).toBeGreaterThanOrEqual(0);
        expect(result.node.freeNanoCpus).toBeGreaterThanOrEqual(0);
      }
      for (const { node: where, claim } of placed) where.remove(claim);
      for (const one of nodes) {
        expect([one.containers, one.reservedMemory, one.reservedNanoCpus]).toEqual([0, 0, 0]);
        expect([8000, 8001, 8002, 8003].some((port) => one.ports.collides({ ip: '', port, protocol: 'tcp' }))).toBe(
          false,
        );
      }
    }
  });

  test('the order of the hosts does not matter', () => {
    for (const _case of cases) {
      const nodes = Array.from({ length: 2 + random(6) }, (_, i) => node(`h${i}`, { memory: 128 * (1 + random(3)) }));
      nodes.forEach((one) => {
        for (let i = random(3); i > 0; i--) one.add(NONE);
      });
      const request = wants({ memory: random(200) * MIB });
      expect(chosen([...nodes].reverse(), request)).toBe(chosen(nodes, request));
    }
  });
});

describe('quantities', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [512 * MIB, '512 MiB'],
    [1.5 * 1024 * MIB, '1.5 GiB'],
  ])('%d bytes', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
  test.each([
    [5e8, '0.5 CPUs'],
    [1e9, '1 CPU'],
    [0, '0 CPUs'],
  ])('%d nano CPUs', (nano, text) => {
    expect(formatCpus(nano)).toBe(text);
  });
});
