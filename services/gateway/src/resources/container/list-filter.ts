import {
  booleanFilter,
  type Filters,
  formatPort,
  matchesLabels,
  parseFilters,
  parsePortRange,
} from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { filterPatterns } from '../../routing/filter-pattern.ts';
import type { ContainerLookup } from './backend.ts';
import { currentStatus, dockerState, isRunning } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { requestedPorts } from './gateway-addresses.ts';
import { labelsWithNode } from './inspect-view.ts';
import { networkReferences } from './networks-view.ts';

// biome-ignore format: a table
const ACCEPTED = [
  'id', 'name', 'label', 'status', 'ancestor', 'before', 'since', 'exited', 'volume', 'network', 'health', 'publish',
  'expose', 'is-task', 'isolation',
];
const VALUES: Readonly<Record<string, RegExp>> = {
  status: /^(created|running|paused|restarting|removing|exited|dead)$/,
  exited: /^-?\d{1,9}$/,
  health: /^(none|starting|healthy|unhealthy)$/,
  isolation: /^(default|process|hyperv)$/,
};

export interface ListQuery {
  readonly all: boolean;
  /** 0 or less: no limit. */
  readonly limit: number;
  readonly filters: Filters;
}

/** Filters of GET /containers/json, values checked. @throws invalid-argument */
export function parseListFilters(text: string): Filters {
  const filters = parseFilters(text, ACCEPTED);
  for (const [name, allowed] of Object.entries(VALUES)) {
    const wrong = filters.get(name)?.find((value) => !allowed.test(value));
    if (wrong !== undefined) throw invalidArgument(`invalid filter '${name}=${wrong}'`);
  }
  return filters;
}

/**
 * The containers a list call shows, newest first.
 * @param isAncestor whether the container is of an image the `ancestor` filter names
 */
export function selectContainers(
  lookup: ContainerLookup,
  query: ListQuery,
  isAncestor: (view: ContainerView) => boolean,
): readonly ContainerView[] {
  const { filters } = query;
  const before = createdOf(lookup, filters.get('before'));
  const since = createdOf(lookup, filters.get('since'));
  const tests = [...testsOf(filters), isAncestor];
  if (before !== undefined) tests.push((view) => view.record.createdAtNs < before);
  if (since !== undefined) tests.push((view) => view.record.createdAtNs > since);
  const limit = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY;
  // As in docker: a limit or a state asked for shows stopped containers too; `exited`, `before` and `since` do not.
  const all = query.all || query.limit > 0 || filters.has('status');
  const chosen: ContainerView[] = [];
  for (const view of lookup.list()) {
    if (chosen.length >= limit) break;
    if (!all && !isRunning(view)) continue;
    if (tests.every((test) => test(view))) chosen.push(view);
  }
  return chosen;
}

function createdOf(lookup: ContainerLookup, names: readonly string[] | undefined): bigint | undefined {
  const [name] = names ?? [];
  return name === undefined ? undefined : lookup.find(name).record.createdAtNs;
}

type Test = (view: ContainerView) => boolean;

function testsOf(filters: Filters): Test[] {
  const tests: Test[] = [];
  const any = (name: string, matches: (view: ContainerView, value: string) => boolean): void => {
    const values = filters.get(name);
    if (values !== undefined && values.length > 0) {
      tests.push((view) => values.some((value) => matches(view, value)));
    }
  };
  for (const [name, textsOf] of Object.entries(PATTERNS)) {
    const patterns = filterPatterns(filters, name);
    if (patterns.length > 0) tests.push((view) => patterns.some((p) => textsOf(view).some((text) => p.test(text))));
  }
  for (const [name, portsOf] of Object.entries(PORTS)) {
    const texts = filters.get(name) ?? [];
    const wanted = new Set(texts.flatMap((text) => parsePortRange(text, `filters.${name}`).map(formatPort)));
    if (wanted.size > 0) tests.push((view) => portsOf(view).some((port) => wanted.has(port)));
  }
  any('status', (view, state) => dockerState(view) === state);
  any('exited', (view, code) => {
    const { startedAtNs = 0n, exitCode } = currentStatus(view) ?? {};
    return !isRunning(view) && startedAtNs !== 0n && exitCode === Number(code);
  });
  any('volume', (view, volume) => view.spec.mounts.some((mount) => mount.source === volume || mount.target === volume));
  any('network', (view, network) =>
    networkReferences(view).some(({ name, id }) => name === network || (network.length > 0 && id.startsWith(network))),
  );
  any('health', (view, health) => (currentStatus(view)?.health || 'none') === health);
  // The others are of Windows.
  any('isolation', (_view, isolation) => isolation === 'default');
  const labels = filters.get('label');
  if (labels !== undefined) {
    tests.push((view) => matchesLabels(labels, labelsWithNode(view.spec.labels, view.node?.facts?.hostname)));
  }
  if (booleanFilter(filters, 'is-task') === true) tests.push(() => false);
  return tests;
}

/** Filters that are patterns, which may match anywhere in any of these texts. */
const PATTERNS: Readonly<Record<string, (view: ContainerView) => readonly string[]>> = {
  id: ({ record }) => [record.id],
  name: ({ spec }) => [spec.name, `/${spec.name}`],
};

/** Ports of the container, as `80/tcp`. */
const PORTS: Readonly<Record<string, (view: ContainerView) => readonly string[]>> = {
  publish: (view) => requestedPorts(view).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`),
  expose: ({ spec }) => spec.network?.exposedPorts ?? [],
};
