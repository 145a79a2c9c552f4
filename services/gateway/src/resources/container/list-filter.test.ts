import { containerV1, nodeV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import type { ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import { parseListFilters, selectContainers } from './list-filter.ts';

const { ContainerState } = containerV1;
const BEGAN = 1_700_000_000_000_000_000n;

function view(name: string, at: number, spec: object, status: object): ContainerView {
  const made = containerV1.ContainerSpec.fromPartial({ name, ...spec });
  const id = name[0]?.repeat(64) ?? '';
  return {
    record: containerV1.ContainerRecord.fromPartial({ id, nodeId: 'n1', createdAtNs: BEGAN + BigInt(at), spec: made }),
    spec: made,
    status: containerV1.ContainerStatus.fromPartial({ nodeId: 'n1', startedAtNs: BEGAN, ...status }),
    node: nodeV1.NodeRecord.fromPartial({ id: 'n1', facts: { hostname: 'h1' } }),
  };
}

/** Newest first, as lists are. */
const CONTAINERS: readonly ContainerView[] = [
  view('fresh', 6, {}, { state: ContainerState.CREATED, startedAtNs: 0n }),
  view('error', 5, {}, { state: ContainerState.EXITED, exitCode: 3 }),
  view('done', 4, { labels: { tier: 'front' } }, { state: ContainerState.EXITED, exitCode: 0 }),
  view(
    'crash',
    3,
    { network: { mode: 'host' } },
    { state: ContainerState.RESTARTING, exitCode: 3, health: 'unhealthy' },
  ),
  view('both', 2, { labels: { tier: 'front', env: 'test' } }, { state: ContainerState.PAUSED, health: 'healthy' }),
  view(
    'api',
    1,
    {
      labels: { tier: 'back' },
      network: { exposedPorts: ['80/tcp', '53/udp'], ports: [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }] },
      mounts: [{ type: 'volume', source: 'data', target: '/d' }],
    },
    { state: ContainerState.RUNNING, health: 'starting' },
  ),
];

const LOOKUP: ContainerLookup = {
  find: (name) => {
    const found = CONTAINERS.find(({ spec }) => spec.name === name);
    if (found === undefined) throw new Error(`No such container: ${name}`);
    return found;
  },
  list: () => CONTAINERS,
  nodeCount: () => 1,
};

function names(filters: object, all = false, limit = 0): string {
  const query = { all, limit, filters: parseListFilters(JSON.stringify(filters)) };
  return selectContainers(LOOKUP, query, () => true)
    .map(({ spec }) => spec.name)
    .join(' ');
}

describe('of all containers', () => {
  test.each<[string, object, string]>([
    ['before one', { before: ['crash'] }, 'both api'],
    ['since one', { since: ['crash'] }, 'fresh error done'],
    ['between two', { since: ['both'], before: ['done'] }, 'crash'],
    ['exited: not those that run or never ran', { exited: ['3'] }, 'error'],
    ['exited: several codes', { exited: ['0', '3'] }, 'error done'],
    ['exited: a code nobody had', { exited: ['-1'] }, ''],
    ['expose', { expose: ['80'] }, 'api'],
    ['expose: with a protocol', { expose: ['53/udp'] }, 'api'],
    ['expose: another protocol', { expose: ['53/tcp'] }, ''],
    ['expose: a range', { expose: ['50-60/udp'] }, 'api'],
    ["publish: the container's port", { publish: ['80/tcp'] }, 'api'],
    ["publish: not the host's port", { publish: ['8080'] }, ''],
    ['publish: the widest range', { publish: ['1-65535'] }, 'api'],
    ['health: none', { health: ['none'] }, 'fresh error done'],
    ['health: several', { health: ['healthy', 'unhealthy'] }, 'crash both'],
    ['health: starting', { health: ['starting'] }, 'api'],
    ['id: its beginning', { id: ['aaa'] }, 'api'],
    ['id: whole', { id: ['b'.repeat(64)] }, 'both'],
    ['id: a pattern', { id: ['^[ab]'] }, 'both api'],
    ['is-task: there are none', { 'is-task': ['true'] }, ''],
    ['is-task: all are none', { 'is-task': ['0'] }, 'fresh error done crash both api'],
    ['isolation: what Linux has', { isolation: ['default'] }, 'fresh error done crash both api'],
    ['isolation: what Windows has', { isolation: ['hyperv'] }, ''],
    ['label: a key', { label: ['tier'] }, 'done both api'],
    ['label: key and value', { label: ['tier=front'] }, 'done both'],
    ['label: all of them', { label: ['tier=front', 'env'] }, 'both'],
    ['label: the host', { label: ['atoll.node=h1'] }, 'fresh error done crash both api'],
    ['label: another host', { label: ['atoll.node=h2'] }, ''],
    ['name: a part', { name: ['o'] }, 'error done both'],
    ['name: with its slash', { name: ['^/api$'] }, 'api'],
    ['name: any of several', { name: ['api', 'done'] }, 'done api'],
    ['network: by name', { network: ['host'] }, 'crash'],
    ['network: the default one', { network: ['bridge'] }, 'fresh error done both api'],
    ['network: an unknown one', { network: ['nope'] }, ''],
    ['volume: by name', { volume: ['data'] }, 'api'],
    ['volume: by place', { volume: ['/d'] }, 'api'],
    ['different filters must all match', { label: ['tier'], name: ['api'] }, 'api'],
  ])('%s', (_name, filters, want) => {
    expect(names(filters, true)).toBe(want);
  });
});

describe('without all', () => {
  test.each<[string, object, number, string]>([
    ['those that have a process, or will have one again', {}, 0, 'crash both api'],
    ['a state asked for shows stopped ones', { status: ['exited', 'paused'] }, 0, 'error done both'],
    ['the state created', { status: ['created'] }, 0, 'fresh'],
    ['a limit shows stopped ones', {}, 2, 'fresh error'],
    ['a limit counts what matches', { label: ['tier'] }, 2, 'done both'],
    ['a negative limit is none', {}, -1, 'crash both api'],
    ['an exit code does not show stopped ones', { exited: ['3'] }, 0, ''],
    ['nor does another container', { since: ['crash'] }, 0, ''],
  ])('%s', (_name, filters, limit, want) => {
    expect(names(filters, false, limit)).toBe(want);
  });
});

describe('is refused', () => {
  test.each([
    ['an unknown filter', { foo: ['x'] }, "invalid filter 'foo'"],
    ['an unknown state', { status: ['running', 'flying'] }, "invalid filter 'status=flying'"],
    ['an exit code that is none', { exited: ['x'] }, "invalid filter 'exited=x'"],
    ['an unknown health', { health: ['fine'] }, "invalid filter 'health=fine'"],
    ['an unknown isolation', { isolation: ['vm'] }, "invalid filter 'isolation=vm'"],
    ['a task that is neither true nor false', { 'is-task': ['maybe'] }, "invalid filter 'is-task=maybe'"],
    ['a port that is none', { expose: ['http'] }, 'filters.expose'],
    ['a mapping in place of a port', { publish: ['80:80'] }, 'filters.publish'],
    ['a range the wrong way round', { publish: ['90-80'] }, 'filters.publish'],
    ['an unknown container to begin with', { since: ['gone'] }, 'No such container: gone'],
    ['a pattern that may never end', { name: ['(a+)+$'] }, 'repeated groups'],
    ['a pattern that takes long', { name: ['.*.*.*.*.*x'] }, 'more than 4 repeats'],
    ['a broken pattern', { id: ['['] }, "invalid filter 'id=['"],
  ])('%s', (_name, filters, message) => {
    expect(() => names(filters, true)).toThrow(message);
  });
});
