import { randomInt } from 'node:crypto';
import { alreadyExists, conflict, notFound } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { Handlers } from '@atoll/rpc';
import type { FakeAgent } from './fake-agent.ts';
import { FakeNetworks } from './fake-networks.ts';

const { DesiredState, ContainerState } = containerV1;

/** A scheduler of one node that writes nothing down: records live here, orders are calls of the fake agent. */
export class FakeScheduler {
  readonly updates: containerV1.UpdateContainerRequest[] = [];
  readonly records = new Map<string, containerV1.ContainerRecord>();
  readonly #agent: FakeAgent;
  readonly #nodeId: string;
  #revision = 0n;
  /** Host port of the next binding that names none. */
  nextPort = 20_000 + randomInt(5_000);
  /** Hears of records nobody was answered with. */
  onReplaced: (record: containerV1.ContainerRecord) => void = () => {};
  readonly networks = new FakeNetworks({
    record: (id) => this.#record(id),
    replace: (record) => {
      const stored = this.#store(record);
      this.onReplaced(stored);
      return stored;
    },
    isRunning: (id) => this.#agent.containers.get(id)?.status.state === ContainerState.RUNNING,
    list: () => this.records.values(),
  });

  constructor(nodeId: string, agent: FakeAgent) {
    this.#nodeId = nodeId;
    this.#agent = agent;
  }

  readonly handlers: Handlers<containerV1.ContainerServiceService> = {
    createContainer: async ({ id, spec }) => {
      if (spec === undefined) throw conflict('want a spec');
      this.#requireFree(spec.name);
      const record = this.#store(
        containerV1.ContainerRecord.fromPartial({
          id,
          spec,
          nodeId: this.#nodeId,
          desired: DesiredState.CREATED,
          createdAtNs: BigInt(Date.now()) * 1_000_000n,
          endpoints: this.networks.endpoints(spec.network),
          ports: (spec.network?.ports ?? []).map((port) => ({ ...port, hostPort: port.hostPort || this.nextPort++ })),
        }),
      );
      this.#agent.ensure(record);
      return { record, warnings: [] };
    },
    startContainer: async ({ id }) => {
      const record = this.#want(id, DesiredState.RUNNING);
      const held = this.#agent.containers.get(id);
      if (held?.status.state === ContainerState.RUNNING) return { record, status: held.status, unchanged: true };
      const status = this.#agent.startContainer(id);
      if (record.spec?.autoRemove === true) void this.#removeAtExit(id);
      return { record, status, unchanged: false };
    },
    stopContainer: async ({ id }) => {
      const record = this.#want(id, DesiredState.STOPPED);
      const held = this.#agent.containers.get(id);
      if (held?.status.state !== ContainerState.RUNNING) return { record, status: held?.status, unchanged: true };
      return { record, status: this.#agent.killContainer(id, 143), unchanged: false };
    },
    killContainer: async ({ id }) => {
      if (this.#agent.containers.get(id)?.status.state !== ContainerState.RUNNING) {
        throw conflict(`cannot kill container: ${id}: container ${id} is not running`);
      }
      return { record: this.#want(id, DesiredState.STOPPED), status: this.#agent.killContainer(id, 137) };
    },
    restartContainer: async ({ id }) => {
      this.#agent.killContainer(id, 143);
      return { record: this.#want(id, DesiredState.RUNNING), status: this.#agent.startContainer(id) };
    },
    removeContainer: async ({ id, force }) => {
      const record = this.#record(id);
      if (this.#agent.containers.get(id)?.status.state === ContainerState.RUNNING && !force) {
        throw conflict(
          `cannot remove container "/${record.spec?.name}": container is running: stop the container before removing or force remove`,
        );
      }
      if (this.#agent.containers.has(id)) this.#agent.removeContainer(id);
      this.records.delete(id);
      return { revision: ++this.#revision };
    },
    pauseContainer: async ({ id }) => ({ status: this.#agent.containers.get(id)?.status }),
    unpauseContainer: async ({ id }) => ({ status: this.#agent.containers.get(id)?.status }),
    renameContainer: async ({ id, name }) => {
      const record = this.#record(id);
      this.#requireFree(name);
      const spec = { ...(record.spec ?? containerV1.ContainerSpec.fromPartial({})), name };
      return { record: this.#store({ ...record, spec }) };
    },
    updateContainer: async (request) => {
      this.updates.push(request);
      const { id, resources } = request;
      const record = this.#record(id);
      const spec = { ...(record.spec ?? containerV1.ContainerSpec.fromPartial({})), resources };
      return { record: this.#store({ ...record, spec }), status: this.#agent.containers.get(id)?.status };
    },
    publishPorts: async ({ id, ports }) => {
      const record = this.#record(id);
      const chosen = ports.map((port) => ({ ...port, hostPort: port.hostPort || this.nextPort++ }));
      return { record: this.#withPorts(record, [...record.ports, ...chosen], ports), ports: chosen };
    },
    withdrawPorts: async ({ id, ports }) => {
      const record = this.#record(id);
      const goes = record.ports.map((known) => ports.some((port) => port.containerPort === known.containerPort));
      if (!goes.includes(true)) throw notFound(`container ${record.spec?.name} does not publish it`);
      const stays = record.ports.filter((_, at) => !goes[at]);
      return { record: this.#withPorts(record, stays, []), ports: record.ports.filter((_, at) => goes[at]) };
    },
  };

  #withPorts(
    record: containerV1.ContainerRecord,
    ports: containerV1.PortBinding[],
    asked: readonly containerV1.PortBinding[],
  ): containerV1.ContainerRecord {
    const spec = record.spec ?? containerV1.ContainerSpec.fromPartial({});
    const network = spec.network ?? containerV1.NetworkSpec.fromPartial({});
    return this.#store({
      ...record,
      ports,
      spec: { ...spec, network: { ...network, ports: [...network.ports, ...asked] } },
    });
  }

  #requireFree(name: string): void {
    const holder = [...this.records.values()].find((record) => record.spec?.name === name);
    if (holder === undefined) return;
    throw alreadyExists(
      `Conflict. The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }

  async #removeAtExit(id: string): Promise<void> {
    await this.#agent.containers.get(id)?.process?.exited;
    this.#agent.removeContainer(id);
    this.records.delete(id);
  }

  #want(id: string, desired: containerV1.DesiredState): containerV1.ContainerRecord {
    return this.#store({ ...this.#record(id), desired });
  }

  #record(id: string): containerV1.ContainerRecord {
    const record = this.records.get(id);
    if (record === undefined) throw notFound(`No such container: ${id}`);
    return record;
  }

  #store(record: containerV1.ContainerRecord): containerV1.ContainerRecord {
    const stored = { ...record, revision: ++this.#revision, generation: record.generation + 1n };
    this.records.set(record.id, stored);
    return stored;
  }
}
