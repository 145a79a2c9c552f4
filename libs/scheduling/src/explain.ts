import type { Refusal } from './filter.ts';
import type { NodeInfo } from './node-info.ts';
import type { PlacementRequest } from './request.ts';

/**
 * The sentence a user reads when nothing fits, most frequent reason first:
 * `no suitable node: 3 hosts: 2 have too little free memory (needs 512 MiB; most free: 300 MiB on h2), 1 is down`.
 */
export function explain(refused: ReadonlyMap<Refusal, readonly NodeInfo[]>, request: PlacementRequest): string {
  const total = [...refused.values()].reduce((sum, nodes) => sum + nodes.length, 0);
  if (total === 0) return 'no suitable node: the cluster has no hosts';
  const parts = [...refused]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([refusal, nodes]) => {
      const detail = refusal.detail?.(request, nodes);
      return `${nodes.length} ${nodes.length === 1 ? refusal.one : refusal.many}${detail ? ` (${detail})` : ''}`;
    });
  return `no suitable node: ${total} ${total === 1 ? 'host' : 'hosts'}: ${parts.join(', ')}`;
}
