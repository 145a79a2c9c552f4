import { booleanFilter, type Filters, matchesLabels, parseFilters, parsePortRange } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { networkIdOf } from '../network/network-id.ts';
import type { ContainerLookup } from './backend.ts';
import { currentStatus, dockerState } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { labelsWithNode } from './inspect-view.ts';
import { networkName, portSummaries } from './ports-view.ts';

// biome-ignore format: a table
const ACCEPTED = [
  'id', 'name', 'label', 'status', 'ancestor', 'before', 'since', 'exited', 'volume', 'network', 'health', 'publish',
  'expose', 'is-task', 'isolation',
];
const STATES = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']);

export interface ListQuery {
  readonly all: boolean;
  /** 0: no limit. */
  readonly limit: number;
  readonly filters: Filters;
}

/** Filters of GET /containers/json, values checked. @throws invalid-argument */
export function parseListFilters(text: string): Filters {
  const filters = parseFilters(text, ACCEPTED);
  for (const state of filters.get('status') ?? []) {
    if (!STATES.has(state)) throw invalidArgument(`invalid filter 'status=${state}'`);
  }
  for (const code of filters.get('exited') ?? []) {
    if (!/^\d{1,9}$/.test(code)) throw invalidArgument(`invalid filter 'exited=${code}'`);
  }
  for (const health of filters.get('health') ?? []) {
    if (!HEALTH.has(health)) throw invalidArgument(`invalid filter 'health=${health}'`);
  }
  return filters;
}

const HEALTH = new Set(['none', 'starting', 'healthy', 'unhealthy']);

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
  // As in docker: a limit, `before`, `since` or a state asked for shows stopped containers too.
  const all = query.all || query.limit > 0 || ['status', 'exited', 'before', 'since'].some((name) => filters.has(name));
  const chosen: ContainerView[] = [];
  for (const view of lookup.list()) {
    if (chosen.length >= limit) break;
    if (!all && !['running', 'paused', 'restarting'].includes(dockerState(view))) continue;
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
  any('id', (view, id) => view.record.id.startsWith(id));
  any('name', (view, name) => matchesName(view.spec.name, name));
  any('status', (view, state) => dockerState(view) === state);
  any('exited', (view, code) => {
    const status = currentStatus(view);
    return dockerState(view) === 'exited' && status?.exitCode === Number(code);
  });
  any('volume', (view, volume) => view.spec.mounts.some((mount) => mount.source === volume || mount.target === volume));
  any('network', (view, network) => {
    const name = networkName(view);
    return name === network || (network.length > 0 && networkIdOf(name).startsWith(network));
  });
  any('health', (view, health) => (currentStatus(view)?.health || 'none') === health);
  any('publish', (view, text) =>
    parsePortRange(text, 'filters.publish').some(({ port, protocol }) =>
      portSummaries(view).some((open) => open.PublicPort === port && open.Type === protocol),
    ),
  );
  any('expose', (view, text) =>
    parsePortRange(text, 'filters.expose').some(({ port, protocol }) =>
      (view.spec.network?.exposedPorts ?? []).includes(`${port}/${protocol}`),
    ),
  );
  const labels = filters.get('label');
  if (labels !== undefined) {
    tests.push((view) => matchesLabels(labels, labelsWithNode(view.spec.labels, view.node?.facts?.hostname)));
  }
  if (booleanFilter(filters, 'is-task') === true) tests.push(() => false);
  return tests;
}

/**
 * The `name` filter is a pattern that may match anywhere in the name, with or without its slash. Repeated groups are refused:
 * on JavaScript's engine they can take for ever.
 */
function matchesName(name: string, wanted: string): boolean {
  if (wanted.length > 128 || /\)[*+?{]/.test(wanted)) {
    throw invalidArgument(`invalid filter 'name=${wanted}': patterns with repeated groups are not supported`);
  }
  try {
    const pattern = new RegExp(wanted);
    return pattern.test(name) || pattern.test(`/${name}`);
  } catch (cause) {
    throw invalidArgument(`invalid filter 'name=${wanted}'`, { cause });
  }
}
