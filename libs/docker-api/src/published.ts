import { defaultBridgeOf } from './default-bridge.ts';

/**
 * Whether hosts have ports for a container. As under docker they have none for one that is in macvlan networks only: those are
 * interfaces of the hosts' own network, where it is reached at its own address and ports.
 */
export function isPublished(
  record: Parameters<typeof defaultBridgeOf>[0] & { readonly endpoints: readonly { readonly driver: string }[] },
): boolean {
  if (record.endpoints.length === 0 || defaultBridgeOf(record)) return true;
  return record.endpoints.some(({ driver }) => driver !== 'macvlan');
}
