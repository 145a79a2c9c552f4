import { isEncrypted } from '@atoll/docker-api';
import { failedPrecondition } from '@atoll/errors';
import type { networkV1, nodeV1 } from '@atoll/proto';
import type { ClusterState } from '../cluster-state.ts';
import type { NetworkTable } from './network-table.ts';

/** Why a host can have no container of an encrypted network; undefined when it can. */
export function noEncryption(facts: nodeV1.NodeFacts | undefined): string | undefined {
  if (facts?.wireguard) return undefined;
  return facts?.noEncryption || 'its agent does not say that it can';
}

/**
 * For a network that is to be made: clear text between some of its hosts would be a network that is not what was asked for.
 * Errors: failed-precondition naming the ready hosts that cannot encrypt, and why.
 */
export function assertEncryption({ infos }: ClusterState, network: networkV1.NetworkRecord): void {
  if (!isEncrypted(network)) return;
  const unable = [...infos.values()].filter(({ ready, facts }) => ready && facts.noEncryption !== undefined);
  if (unable.length === 0) return;
  const named = unable.slice(0, 16).map(({ facts }) => `${facts.hostname} (${facts.noEncryption})`);
  throw failedPrecondition(
    `Options["encrypted"]: network ${network.name} is not made, for these hosts cannot encrypt: ${named.join(', ')}`,
  );
}

/** Name of the first encrypted one of the networks with these ids or names. Ones that do not exist do not count. */
export function encryptedAmong(table: NetworkTable, references: Iterable<string>): string | undefined {
  for (const reference of references) {
    const network = table.find(reference);
    if (network && isEncrypted(network)) return network.name;
  }
  return undefined;
}

/** Errors: failed-precondition, when the container's host cannot encrypt. */
export function assertHostEncrypts({ infos }: ClusterState, nodeId: string, network: networkV1.NetworkRecord): void {
  const facts = infos.get(nodeId)?.facts;
  if (!facts || facts.noEncryption === undefined || !isEncrypted(network)) return;
  throw failedPrecondition(
    `network ${network.name} is encrypted, and host ${facts.hostname} cannot encrypt: ${facts.noEncryption}`,
  );
}
