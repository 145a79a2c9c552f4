import { randomBytes } from 'node:crypto';
import { networkV1 } from '@atoll/proto';
import type { TestReplica } from './test-cluster.ts';

/** Creates a network `net-…` of driver bridge with IPv4. */
export async function createNetwork(
  replica: TestReplica,
  given: Parameters<typeof networkV1.NetworkRecord.fromPartial>[0] = {},
): Promise<networkV1.NetworkRecord> {
  const id = randomBytes(32).toString('hex');
  const asked = { id, name: `net-${id.slice(0, 12)}`, driver: 'bridge', ipv4: true, ...given };
  const { network } = await replica.networks.createNetwork({ network: networkV1.NetworkRecord.fromPartial(asked) });
  if (!network) throw new Error('the answer has no network');
  return network;
}
