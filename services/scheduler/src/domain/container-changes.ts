import { conflict, invalidArgument } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { claimOf } from './claim.ts';
import { assertNameFree } from './container-creation.ts';
import { checkContainerName } from './container-name.ts';
import { assertHostUp } from './host-up.ts';
import type { TermParts } from './term-parts.ts';

const POLICIES: ReadonlySet<string> = new Set(['', 'no', 'always', 'unless-stopped', 'on-failure']);

/** Rename and update. */
export class ContainerChanges {
  readonly #parts: TermParts;

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /** Errors: not-found, invalid-argument (name), already-exists with Docker's text. */
  rename(id: string, given: string): Promise<containerV1.ContainerRecord> {
    const { writes, state, orders, events, turns, signal } = this.#parts;
    const name = given.replace(/^\//, '');
    writes.container(id);
    return turns.run(id, signal, async () => {
      const record = writes.container(id);
      const old = record.spec.name;
      if (name === '') throw invalidArgument('Neither old nor new names may be empty');
      if (name === old) throw invalidArgument('Renaming a container with the same name as its current name');
      checkContainerName(name);
      assertNameFree(state.idOfName(name), name, 'Error when allocating new name: ');
      const stored = await writes.putContainer({
        ...record,
        spec: { ...record.spec, name },
        generation: record.generation + 1n,
      });
      void orders.attempt(nodeV1.Action.ENSURE, stored);
      events.container(stored, 'rename', { oldName: `/${old}` });
      return stored;
    });
  }

  /** Errors: not-found, invalid-argument (policy), conflict when the host has not enough left or the container removes itself,
   * failed-precondition when its host is down. */
  update(request: containerV1.UpdateContainerRequest): Promise<containerV1.UpdateContainerResponse> {
    const { writes, orders, events, observations, turns, signal } = this.#parts;
    const { id } = request;
    writes.container(id);
    return turns.run(id, signal, async () => {
      const record = writes.container(id);
      assertHostUp(this.#parts, record);
      const policy = request.restartPolicy;
      if (policy && !POLICIES.has(policy.name)) throw invalidArgument(`invalid restart policy '${policy.name}'`);
      if (policy && record.spec.autoRemove && policy.name !== '' && policy.name !== 'no') {
        throw conflict('Restart policy cannot be updated because AutoRemove is enabled for the container');
      }
      const spec: containerV1.ContainerSpec = {
        ...record.spec,
        resources: mergeResources(record.spec.resources, request.resources),
        restartPolicy: policy ?? record.spec.restartPolicy,
      };
      this.#assertFits(record, spec);
      const changed = { ...record, spec, generation: record.generation + 1n };
      const [stored, outcome] = await Promise.all([
        writes.putContainer(changed),
        orders.send(nodeV1.Action.UPDATE, changed),
      ]);
      events.container(stored, 'update');
      return { record: stored, status: outcome.status ?? observations.status(id) };
    });
  }

  #assertFits(
    record: containerV1.ContainerRecord & { readonly spec: containerV1.ContainerSpec },
    spec: containerV1.ContainerSpec,
  ): void {
    const info = this.#parts.state.infos.get(record.nodeId);
    if (!info) return;
    const [before, after] = [claimOf(record.spec, record.ports), claimOf(spec, record.ports)];
    if (after.memory - before.memory > Math.max(0, info.freeMemory)) {
      throw conflict(`host ${info.facts.hostname} has too little free memory for this update`);
    }
    if (after.nanoCpus - before.nanoCpus > Math.max(0, info.freeNanoCpus)) {
      throw conflict(`host ${info.facts.hostname} has too few free CPUs for this update`);
    }
  }
}

/** Fields that are 0, empty or not set stay as they are. */
function mergeResources(
  current: containerV1.Resources | undefined,
  change: containerV1.Resources | undefined,
): containerV1.Resources | undefined {
  if (!change) return current;
  const given = Object.entries(change).filter(
    ([, value]) =>
      value !== 0n &&
      value !== 0 &&
      value !== '' &&
      value !== false &&
      value !== undefined &&
      !(Array.isArray(value) && value.length === 0),
  );
  return containerV1.Resources.fromPartial({ ...current, ...Object.fromEntries(given) });
}
