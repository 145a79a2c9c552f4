import { asAtollError, invalidArgument, permissionDenied, unimplemented } from '@atoll/errors';
import { grpcCodeOf } from '@atoll/errors/grpc';
import { containerV1, nodeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import type { NodeMemory } from './node-memory.ts';
import { isVolumeOrder, type VolumeOrders } from './volume-orders.ts';

const A = nodeV1.Action;

interface Outcome {
  readonly status?: containerV1.ContainerStatus;
  /** True when the container was as ordered already. */
  readonly unchanged: boolean;
}

/** Carries out the leader's orders; knows no streams. */
export class OrderWorker {
  readonly #nodeId: string;
  readonly #containers: ContainerManager;
  readonly #memory: NodeMemory;
  readonly #volumes: VolumeOrders;

  constructor(nodeId: string, containers: ContainerManager, memory: NodeMemory, volumes: VolumeOrders) {
    this.#nodeId = nodeId;
    this.#containers = containers;
    this.#memory = memory;
    this.#volumes = volumes;
  }

  /** Never rejects: a failure is the result. */
  async obey(order: nodeV1.Order): Promise<nodeV1.OrderResult> {
    const result = nodeV1.OrderResult.fromPartial({ orderId: order.orderId });
    try {
      await this.#admit(order);
      const { status, unchanged } = await this.#carryOut(order);
      return { ...result, status, unchanged };
    } catch (error) {
      const { reason, message } = asAtollError(error);
      const status = this.#containers.find(order.record?.id ?? '')?.status;
      return { ...result, status, code: grpcCodeOf(reason), reason, message };
    }
  }

  async #admit(order: nodeV1.Order): Promise<void> {
    this.#memory.check(order.epoch);
    if (order.epoch > this.#memory.epoch) {
      await this.#memory.obey(order.epoch, this.#memory.clusterId, this.#memory.containerSubnet);
    }
    if (isVolumeOrder(order)) return;
    const record = order.record;
    if (!record) throw invalidArgument('the order names no container');
    if (record.nodeId !== this.#nodeId) {
      throw permissionDenied(`container ${record.id} is of node ${record.nodeId}; this is ${this.#nodeId}`);
    }
  }

  async #carryOut(order: nodeV1.Order): Promise<Outcome> {
    if (isVolumeOrder(order)) {
      await this.#volumes.obey(order);
      return { unchanged: false };
    }
    const record = order.record as containerV1.ContainerRecord;
    const containers = this.#containers;
    if (order.action === A.ENSURE) {
      const container = containers.ensure(record);
      return { status: container.status, unchanged: false };
    }
    if (order.action === A.REMOVE) {
      const last = await containers.remove(record.id, { force: order.force, volumes: order.volumes });
      const gone = { id: record.id, nodeId: this.#nodeId, state: containerV1.ContainerState.REMOVED };
      return { status: last ?? containerV1.ContainerStatus.fromPartial(gone), unchanged: last === undefined };
    }
    // A start also makes the container known: the order to ensure may have been lost with an earlier session.
    const container = containers.find(record.id) ?? this.#unknown(order.action, record);
    const seconds = order.timeoutSeconds === undefined ? undefined : Number(order.timeoutSeconds);
    let changed = true;
    if (order.action !== A.UPDATE) container.adopt(record);
    if (order.action === A.START) changed = await container.start();
    else if (order.action === A.STOP) changed = await container.stop(order.signal, seconds);
    else if (order.action === A.KILL) await container.kill(order.signal);
    else if (order.action === A.RESTART) await container.restart(order.signal, seconds);
    else if (order.action === A.PAUSE) await container.pause();
    else if (order.action === A.UNPAUSE) await container.unpause();
    else if (order.action === A.UPDATE) await container.update(record);
    else if (order.action === A.CONNECT) await container.connect();
    else throw unimplemented(`this agent does not know the action ${order.action}`);
    return { status: container.status, unchanged: !changed };
  }

  #unknown(action: nodeV1.Action, record: containerV1.ContainerRecord): Container {
    return action === A.START ? this.#containers.ensure(record) : this.#containers.get(record.id);
  }
}
