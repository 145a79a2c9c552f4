import { explain } from './explain.ts';
import type { Filter, Refusal } from './filter.ts';
import { APPARMOR } from './filters/apparmor.ts';
import { CONSTRAINTS } from './filters/constraints.ts';
import { ENCRYPTION } from './filters/encryption.ts';
import { HOST_PORTS } from './filters/host-ports.ts';
import { READY } from './filters/ready.ts';
import { RESOURCES } from './filters/resources.ts';
import { RUNTIME } from './filters/runtime.ts';
import { SELINUX } from './filters/selinux.ts';
import { STORAGE_LIMITS } from './filters/storage-limits.ts';
import { USER_NAMESPACES } from './filters/user-namespaces.ts';
import type { NodeInfo } from './node-info.ts';
import type { PlacementRequest } from './request.ts';
import type { Scorer } from './scorer.ts';
import { SPREAD } from './scorers/spread.ts';

/** The chosen host, or the sentence that says why there is none. */
export type Placement = { readonly node: NodeInfo } | { readonly node: undefined; readonly reason: string };

/** An array, a map or a set of hosts: something that can be walked twice. */
export interface Hosts {
  values(): Iterable<NodeInfo>;
}

/** Cheap and telling filters first: the first refusal of a host is the one that is counted. */
export const FILTERS: readonly Filter[] = [
  READY,
  RUNTIME,
  CONSTRAINTS,
  USER_NAMESPACES,
  ENCRYPTION,
  APPARMOR,
  STORAGE_LIMITS,
  SELINUX,
  RESOURCES,
  HOST_PORTS,
];

/** Chooses a host. One pass over all hosts, nothing is allocated while some fit; only a refusal looks at them again. */
export class Pipeline {
  readonly #filters: readonly Filter[];
  readonly #scorer: Scorer;

  constructor(options: { readonly filters?: readonly Filter[]; readonly scorer?: Scorer } = {}) {
    this.#filters = options.filters ?? FILTERS;
    this.#scorer = options.scorer ?? SPREAD;
  }

  place(nodes: Hosts, request: PlacementRequest): Placement {
    let best: NodeInfo | undefined;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const node of nodes.values()) {
      if (this.#refusal(node, request)) continue;
      const score = this.#score(node, request);
      // Equal hosts are told apart by id, so that the same state gives the same answer everywhere.
      if (score > bestScore || (score === bestScore && best !== undefined && node.facts.id < best.facts.id)) {
        best = node;
        bestScore = score;
      }
    }
    return best ? { node: best } : { node: undefined, reason: this.#explain(nodes, request) };
  }

  #refusal(node: NodeInfo, request: PlacementRequest): Refusal | undefined {
    for (const filter of this.#filters) {
      const refusal = filter.refuse(node, request);
      if (refusal) return refusal;
    }
    return undefined;
  }

  /** Avoided hosts and unmet wishes weigh more than any scorer, which stays between 0 and 1. */
  #score(node: NodeInfo, request: PlacementRequest): number {
    let score = this.#scorer(node, request);
    for (const constraint of request.constraints) if (constraint.soft && constraint.matches(node.facts)) score += 2;
    if (request.avoid?.has(node.facts.id)) score -= 2 * (request.constraints.length + 1);
    return score;
  }

  #explain(nodes: Hosts, request: PlacementRequest): string {
    const refused = new Map<Refusal, NodeInfo[]>();
    for (const node of nodes.values()) {
      const refusal = this.#refusal(node, request);
      if (!refusal) continue;
      const list = refused.get(refusal);
      if (list) list.push(node);
      else refused.set(refusal, [node]);
    }
    return explain(refused, request);
  }
}
