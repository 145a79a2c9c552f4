import { createHash } from 'node:crypto';

/** Names of what the kernel keeps for a cluster. All start with `atoll`, then four characters of the cluster's own. */
export interface ClusterNames {
  /** Bridge between the hosts; interface names have at most 15 bytes. */
  readonly bridge: string;
  readonly nftTable: string;
  /** The machine's end of a host's cable. */
  cable(index: number): string;
}

/** `key` tells clusters of one machine apart: the data root's real path. */
export function clusterNames(key: string): ClusterNames {
  const digest = createHash('sha256').update(key).digest();
  const short = Array.from(digest.subarray(0, 4), (byte) => (byte % 36).toString(36)).join('');
  const prefix = `atoll${short}`;
  return { bridge: `${prefix}br`, nftTable: `${prefix}`, cable: (index) => `${prefix}h${index}` };
}
