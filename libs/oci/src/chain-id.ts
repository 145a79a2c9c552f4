import { createHash } from 'node:crypto';
import { type Digest, sha256Digest } from '@atoll/reference';

/** The identity of each layer together with all below it, base first (OCI config.md, "Layer ChainID"). */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    const id =
      below === undefined ? diffId : sha256Digest(createHash('sha256').update(`${below} ${diffId}`).digest('hex'));
    chain.push(id);
  }
  return chain;
}
