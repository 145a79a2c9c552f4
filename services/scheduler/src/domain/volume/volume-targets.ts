import { failedPrecondition, invalidArgument, notFound } from '@atoll/errors';
import type { containerV1, nodeV1 } from '@atoll/proto';
import { parseConstraint } from '@atoll/scheduling';
import { claimOf } from '../claim.ts';
import { abilitiesFor } from '../host-abilities.ts';
import { encryptedAmong } from '../network/encryption.ts';
import { parentConstraints } from '../network/parent-hosts.ts';
import { addressConstraints } from '../port-scope.ts';
import { place, type TermParts } from '../term-parts.ts';
import type { VolumeGroup } from './volume-groups.ts';
import type { VolumeContainer } from './volume-operations.ts';

/** Which hosts take volumes and the containers that use them. */
export class VolumeTargets {
  readonly #parts: TermParts;

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /**
   * The host of that name or id; without one that with the fewest containers of those that take the volumes. Errors: not-found,
   * invalid-argument for their own host, failed-precondition that says why not (of the last one when none does).
   */
  choose(group: VolumeGroup, wanted: string): nodeV1.NodeRecord {
    const { nodes, infos } = this.#parts.state;
    const [{ name, nodeId }] = group.volumes;
    if (wanted !== '') return this.#assertTakes(nodeOf(nodes.values(), wanted), group);
    const load = ({ id }: nodeV1.NodeRecord): number => infos.get(id)?.containers ?? 0;
    const others = [...nodes.values()].filter(({ id }) => id !== nodeId).sort((a, b) => load(a) - load(b));
    let refusal: unknown = failedPrecondition(`there is no other host for volume ${name}`);
    for (const node of others) {
      try {
        return this.#assertTakes(node, group);
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  #assertTakes(target: nodeV1.NodeRecord, { volumes, users }: VolumeGroup): nodeV1.NodeRecord {
    const { state, sessions } = this.#parts;
    const hostname = target.facts?.hostname ?? target.id;
    const [first] = volumes;
    if (target.id === first.nodeId) throw invalidArgument(`volume ${first.name} is on host ${hostname} already`);
    if (!sessions.get(target.id))
      throw failedPrecondition(`host ${hostname} is not connected: bring it back or choose another`);
    if (state.infos.get(target.id)?.availability !== 'active')
      throw failedPrecondition(
        `host ${hostname} takes nothing new: activate it (atoll node activate) or choose another`,
      );
    for (const { name } of volumes)
      if (state.volumes.hasLeftover(target.id, name))
        throw failedPrecondition(`host ${hostname} has yet to remove files of an earlier volume ${name}: try again`);
    for (const user of users) this.#assertMovable(user, first.name, target);
    return target;
  }

  /** Errors: failed-precondition that says what of the container exists on its host only, or why the target does not take it. */
  #assertMovable({ id, spec, ports, endpoints }: VolumeContainer, volume: string, target: nodeV1.NodeRecord): void {
    const why = tieOf(spec) ?? this.#joinedBy(id);
    if (why)
      throw failedPrecondition(`container ${spec.name} cannot go along with volume ${volume}: ${why}; remove it first`);
    const networks = endpoints.map(({ networkId }) => networkId);
    const placement = place(this.#parts, {
      claim: claimOf(spec, ports),
      ...abilitiesFor(spec),
      constraints: [
        ...spec.constraints.map(parseConstraint),
        ...addressConstraints(this.#parts.state, ports),
        ...parentConstraints(this.#parts.state, networks),
        { text: `node.id==${target.id}`, soft: false, matches: (node) => node.id === target.id },
      ],
      runtime: spec.runtime,
      encrypted: encryptedAmong(this.#parts.state.networks, networks),
    });
    if (!placement.node)
      throw failedPrecondition(`container ${spec.name} cannot go along with volume ${volume}: ${placement.reason}`);
  }

  #joinedBy(id: string): string | undefined {
    for (const { spec } of this.#parts.state.records.values())
      if (spec && joins(spec).includes(id)) return `container ${spec.name} has a namespace of it`;
    return undefined;
  }
}

const joins = (spec: containerV1.ContainerSpec): string[] =>
  [spec.network?.mode ?? '', spec.ipcMode, spec.pidMode]
    .filter((mode) => mode.startsWith('container:'))
    .map((mode) => mode.slice('container:'.length));

function tieOf(spec: containerV1.ContainerSpec): string | undefined {
  // The cluster's API is everywhere.
  const bind = spec.mounts.find(({ type, apiSocket }) => type === 'bind' && !apiSocket);
  if (bind) return `it has the bind mount of ${bind.source}, which is its host's`;
  const [joined] = joins(spec);
  return joined ? `it has a namespace of container ${joined.slice(0, 12)}` : undefined;
}

/** Errors: not-found, invalid-argument when several are called so. */
export function nodeOf(nodes: Iterable<nodeV1.NodeRecord>, wanted: string): nodeV1.NodeRecord {
  const found = [...nodes].filter(({ id, facts }) => id === wanted || facts?.hostname === wanted);
  const [only, ...others] = found;
  if (!only) throw notFound(`no node ${wanted}: atoll node ls lists them`);
  if (others.length > 0)
    throw invalidArgument(`${found.length} nodes are called ${wanted}: use an id of atoll node ls`);
  return only;
}
