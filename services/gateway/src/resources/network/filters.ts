import { booleanFilter, type Filters, matchesLabels, parseFilters } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { filterPatterns } from '../../routing/filter-pattern.ts';
import { isRunning } from '../container/container-state.ts';
import type { NetworkBackend } from './backend.ts';
import type { NetworkView } from './network-view.ts';

const ACCEPTED = ['driver', 'id', 'name', 'label', 'scope', 'type', 'dangling'];

/** The networks a list call shows. @throws invalid-argument naming the filter */
export function selectNetworks(backend: Pick<NetworkBackend, 'list' | 'listNetworks'>, text: string): NetworkView[] {
  const filters = parseFilters(text, ACCEPTED);
  const wrong = filters.get('type')?.find((type) => type !== 'builtin' && type !== 'custom');
  if (wrong !== undefined) throw invalidArgument(`invalid filter 'type=${wrong}'`);
  const tests = [plainTest(filters), patternTest(filters), danglingTest(backend, filters)];
  return backend.listNetworks().filter((view) => tests.every((test) => test(view)));
}

type Test = (view: NetworkView) => boolean;

function plainTest(filters: Filters): Test {
  const any = (name: string, value: string): boolean => {
    const wanted = filters.get(name) ?? [];
    return wanted.length === 0 || wanted.includes(value);
  };
  return ({ driver, scope, record }) =>
    any('driver', driver) &&
    any('scope', scope) &&
    any('type', record ? 'custom' : 'builtin') &&
    matchesLabels(filters.get('label'), record?.labels ?? {});
}

/** All or part of an id or name. */
function patternTest(filters: Filters): Test {
  const ids = filterPatterns(filters, 'id');
  const names = filterPatterns(filters, 'name');
  return ({ id, name }) =>
    (ids.length === 0 || ids.some((pattern) => pattern.test(id))) &&
    (names.length === 0 || names.some((pattern) => pattern.test(name)));
}

/** Docker counts containers that run, and takes its own networks for used. */
function danglingTest(backend: Pick<NetworkBackend, 'list'>, filters: Filters): Test {
  const wanted = booleanFilter(filters, 'dangling');
  if (wanted === undefined) return () => true;
  const used = usedNetworks(backend);
  return ({ id, record }) => wanted === (record !== undefined && !used.has(id));
}

/** Ids of networks of users with containers that run. */
export function usedNetworks(backend: Pick<NetworkBackend, 'list'>): ReadonlySet<string> {
  return new Set(
    backend
      .list()
      .filter(isRunning)
      .flatMap(({ record }) => record.endpoints.map(({ networkId }) => networkId)),
  );
}
