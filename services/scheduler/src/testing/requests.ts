import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerV1 } from '@atoll/proto';
import type { TestReplica } from './test-cluster.ts';

/** What `fromPartial` of a spec takes. */
export type SpecInput = Parameters<typeof containerV1.ContainerSpec.fromPartial>[0];

export function newContainerId(): string {
  return randomBytes(32).toString('hex');
}

/** Creates a container of `busybox` with a name of its own. */
export async function createContainer(
  replica: TestReplica,
  spec: SpecInput = {},
  id = newContainerId(),
): Promise<containerV1.ContainerRecord> {
  const { record } = await replica.containers.createContainer({
    id,
    spec: containerV1.ContainerSpec.fromPartial({
      name: `c-${id.slice(0, 12)}`,
      image: { reference: 'busybox' },
      ...spec,
    }),
  });
  if (!record) throw new Error('the answer has no record');
  return record;
}

/** Waits until it holds; fails after 20 s. */
export async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  while (!(await reached())) await sleep(10, undefined, { signal });
}
