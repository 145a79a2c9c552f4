import { failedPrecondition, hasReason } from '@atoll/errors';
import type { ContainerView } from '../resources/container/container-view.ts';

/** A port that is in use, wherever that was found, as docker says it. @throws failed-precondition */
export async function inDockersWords<T>({ spec, record }: ContainerView, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!hasReason(error, 'conflict') || !(error as Error).message.startsWith('Bind for')) throw error;
    throw failedPrecondition(
      `failed to set up container networking: driver failed programming external connectivity on endpoint ${spec.name} (${record.id}): ${(error as Error).message}`,
      { cause: error },
    );
  }
}
