import { invalidArgument, notFound, permissionDenied } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';

type Record_ = networkV1.NetworkRecord;

/** What a configuration can hold is of networks, not of who may use one. @throws permission-denied naming the field, as in docker */
export function checkConfigOnly({ internal, attachable, ingress, scope, configFrom }: Record_): void {
  const given = Object.entries({ Internal: internal, Attachable: attachable, Ingress: ingress, Scope: scope !== '' });
  const wrong = given.find(([, value]) => value);
  if (wrong)
    throw permissionDenied(`${wrong[0]}: a configuration network cannot have it; the network made from it can`);
  if (configFrom !== '') throw permissionDenied('ConfigFrom: a configuration network cannot depend on another one');
}

/**
 * The network with all of a configuration's, whose labels give way to its own.
 * @param find by name
 * @throws not-found when there is no such configuration, permission-denied naming the field for configuration of its own
 */
export function withConfig(network: Record_, find: (name: string) => Record_ | undefined): Record_ {
  const { configFrom } = network;
  if (configFrom === '') return network;
  const config = find(configFrom);
  if (!config) throw notFound(`ConfigFrom: configuration network ${configFrom} not found`);
  if (!config.configOnly) throw invalidArgument(`ConfigFrom: network ${configFrom} is not a configuration network`);
  const own = Object.entries({
    'IPAM.Config': network.subnets.length > 0,
    'IPAM.Driver': network.ipamDriver !== '' && network.ipamDriver !== 'default',
    'IPAM.Options': Object.keys(network.ipamOptions).length > 0,
    Options: Object.keys(network.options).length > 0,
    EnableIPv4: !network.ipv4,
    EnableIPv6: network.ipv6,
  }).find(([, isGiven]) => isGiven);
  if (own)
    throw permissionDenied(`${own[0]}: it comes from the configuration network ${configFrom}, and cannot be given too`);
  const { ipv4, ipv6, options, ipamDriver, ipamOptions, subnets } = config;
  return {
    ...network,
    ipv4,
    ipv6,
    options,
    ipamDriver,
    ipamOptions,
    subnets,
    labels: { ...config.labels, ...network.labels },
  };
}
