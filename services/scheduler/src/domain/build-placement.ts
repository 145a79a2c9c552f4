import { failedPrecondition, internal } from '@atoll/errors';
import type { nodeV1 } from '@atoll/proto';
import { parseConstraint } from '@atoll/scheduling';
import { place, type TermParts } from './term-parts.ts';

/** A host for the steps of a build, in memory only. Errors: invalid-argument (constraint), failed-precondition that says why. */
export function placeBuild(parts: TermParts, request: nodeV1.PlaceBuildRequest): nodeV1.NodeRecord {
  const placement = place(parts, {
    claim: { memory: 0, nanoCpus: 0, ports: [] },
    constraints: request.constraints.map(parseConstraint),
    avoid: new Set(request.avoid),
  });
  if (!placement.node) throw failedPrecondition(placement.reason);
  const record = parts.state.nodes.get(placement.node.facts.id);
  if (!record) throw internal(`placed on ${placement.node.facts.id}, which has no record`);
  return record;
}
