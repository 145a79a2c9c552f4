import { booleanFilter, formatRfc3339Nano, matchesLabels, networkIdOf, parseFilters } from '@atoll/docker-api';
import { notFound } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { currentStatus, isRunning } from '../container/container-state.ts';
import { networkName } from '../container/ports-view.ts';
import type { NetworkBackend } from './backend.ts';

/** The networks every cluster has; others cannot be made yet. Name and driver. */
const BUILT_IN = [
  { name: 'bridge', driver: 'bridge' },
  { name: 'host', driver: 'host' },
  { name: 'none', driver: 'null' },
] as const;
type BuiltIn = (typeof BUILT_IN)[number];

const LIST_QUERY = z.object({ filters: queryText() });
const FILTERS = ['driver', 'id', 'name', 'label', 'scope', 'type', 'dangling'];

/** GET /networks */
export function listNetworks(backend: NetworkBackend): Handler {
  return async ({ query, response }) => {
    const filters = parseFilters(parseQuery(query, LIST_QUERY).filters, FILTERS);
    const matches = (name: string, test: (value: string) => boolean): boolean => filters.get(name)?.some(test) ?? true;
    const chosen = BUILT_IN.filter(
      ({ name, driver }) =>
        matches('driver', (wanted) => wanted === driver) &&
        matches('id', (id) => networkIdOf(name).startsWith(id)) &&
        matches('name', (wanted) => name.includes(wanted)) &&
        matches('scope', (scope) => scope === 'local') &&
        matches('type', (type) => type === 'builtin') &&
        matchesLabels(filters.get('label'), {}) &&
        booleanFilter(filters, 'dangling') !== true,
    );
    sendJson(
      response,
      200,
      chosen.map((network) => networkObject(backend, network, false)),
    );
  };
}

const INSPECT_QUERY = z.object({ verbose: queryFlag(), scope: queryText() });

/** GET /networks/{id} */
export function inspectNetwork(backend: NetworkBackend): Handler {
  return async ({ params, query, response }) => {
    const { scope } = parseQuery(query, INSPECT_QUERY);
    const reference = params['id'] ?? '';
    const found = BUILT_IN.find(({ name }) => name === reference || networkIdOf(name) === reference);
    const byPrefix = BUILT_IN.filter(({ name }) => networkIdOf(name).startsWith(reference));
    const network = found ?? (byPrefix.length === 1 ? byPrefix[0] : undefined);
    if (network === undefined || (scope !== '' && scope !== 'local')) throw notFound(`network ${reference} not found`);
    sendJson(response, 200, networkObject(backend, network, true));
  };
}

function networkObject(
  backend: NetworkBackend,
  { name, driver }: BuiltIn,
  withContainers: boolean,
): Record<string, unknown> {
  const subnets = name === 'bridge' ? backend.nodeNetworks().filter(({ subnet }) => subnet !== '') : [];
  return {
    Name: name,
    Id: networkIdOf(name),
    Created: formatRfc3339Nano(backend.clusterSinceNs()),
    Scope: 'local',
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: subnets.map(({ subnet }) => ({ Subnet: subnet })) },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: withContainers ? containersOf(backend, name) : {},
    Options: Object.fromEntries(subnets.map(({ hostname, subnet }) => [`atoll.subnet.${hostname}`, subnet])),
    Labels: {},
  };
}

function containersOf(backend: NetworkBackend, network: string): Record<string, unknown> {
  const members = backend.list().filter((view) => networkName(view) === network && isRunning(view));
  return Object.fromEntries(
    members.map((view) => {
      const status = currentStatus(view);
      const address = status?.ipAddress ? `${status.ipAddress}/${status.ipPrefixLen}` : '';
      return [
        view.record.id,
        {
          Name: view.spec.name,
          EndpointID: view.record.id,
          MacAddress: status?.macAddress ?? '',
          IPv4Address: address,
          IPv6Address: '',
        },
      ];
    }),
  );
}
