import { CONTAINERS, connectBus, Feed, type Mirror, NatsDesiredStore, NETWORKS } from '@atoll/bus';
import type { containerV1, networkV1 } from '@atoll/proto';

/** Desired state as anybody else sees it: from the store, after each durable write. */
export interface DesiredView {
  readonly containers: Mirror<containerV1.ContainerRecord>;
  readonly networks: Mirror<networkV1.NetworkRecord>;
  close(): Promise<void>;
}

export async function watchDesired(natsUrl: string): Promise<DesiredView> {
  const bus = await connectBus({ servers: [natsUrl], name: 'view' });
  const feed = new Feed(new NatsDesiredStore(bus).source(), { name: 'desired', onRegress: 'keep' });
  const view = { containers: feed.mirror(CONTAINERS), networks: feed.mirror(NETWORKS) };
  await feed.start().ready(AbortSignal.timeout(20_000));
  return {
    ...view,
    close: async () => {
      await feed.close();
      await bus.close();
    },
  };
}
