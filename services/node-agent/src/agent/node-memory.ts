import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '@atoll/errors';
import { z } from 'zod';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { unlessMissing } from '../files/missing.ts';

const schema = z.object({
  clusterId: z.string(),
  epoch: z.coerce.bigint(),
  containerSubnet: z.string(),
});

/**
 * What the agent must not forget between runs: whose orders it obeys, the highest leader's epoch it has obeyed, and the block
 * of container addresses it was given (so that containers start again while the control plane is away).
 */
export class NodeMemory {
  readonly #path: string;
  #clusterId = '';
  #epoch = 0n;
  #containerSubnet = '';

  private constructor(path: string) {
    this.#path = path;
  }

  static async open(dataRoot: string): Promise<NodeMemory> {
    const memory = new NodeMemory(join(dataRoot, 'node.json'));
    const text = await unlessMissing(readFile(memory.#path, 'utf8'));
    if (text === undefined) return memory;
    const known = schema.parse(JSON.parse(text));
    memory.#clusterId = known.clusterId;
    memory.#epoch = known.epoch;
    memory.#containerSubnet = known.containerSubnet;
    return memory;
  }

  get clusterId(): string {
    return this.#clusterId;
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  /** CIDR; empty before the first welcome. */
  get containerSubnet(): string {
    return this.#containerSubnet;
  }

  /** Throws failed-precondition when a leader of a lower epoch speaks, or one of another cluster. Writes nothing. */
  check(epoch: bigint, clusterId = this.#clusterId): void {
    if (this.#clusterId !== '' && clusterId !== this.#clusterId) {
      throw failedPrecondition(
        `this node's data belongs to cluster ${this.#clusterId}, the scheduler speaks for ${clusterId}; give the agent another data root`,
      );
    }
    if (epoch < this.#epoch) {
      throw failedPrecondition(`epoch ${epoch} is over: this node has obeyed a leader of epoch ${this.#epoch}`);
    }
  }

  /** Durable before it resolves: an order of this epoch may be obeyed afterwards. */
  async obey(epoch: bigint, clusterId: string, containerSubnet: string): Promise<void> {
    this.check(epoch, clusterId);
    if (epoch === this.#epoch && clusterId === this.#clusterId && containerSubnet === this.#containerSubnet) return;
    const text = JSON.stringify({ clusterId, epoch: epoch.toString(), containerSubnet });
    await writeFileAtomic(this.#path, text, { durable: true });
    this.#epoch = epoch;
    this.#clusterId = clusterId;
    this.#containerSubnet = containerSubnet;
  }
}
