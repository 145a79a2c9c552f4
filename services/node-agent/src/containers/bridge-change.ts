import { defaultBridgeOf } from '@atoll/docker-api';
import type { containerV1 } from '@atoll/proto';
import { noteEndpoint } from '../network/endpoint-file.ts';
import type { Endpoint, HostNetwork } from '../network/host-network.ts';

export interface BridgeChange {
  readonly network: HostNetwork;
  /** The container's bundle. */
  readonly directory: string;
  /** Brings the links of the run to the record's, with this place on the default bridge. */
  readonly link: (bridge: Endpoint | undefined) => Promise<void>;
}

/**
 * Has a run that was on the default bridge as `before` join, leave or keep it, as its record says, with its other links, and gives its place
 * there. What is noted of it never lacks an address the run may have; the caller releases the former one. When it rejects, the run is as
 * before, or will be after the same once more.
 */
export async function changeBridge(
  record: containerV1.ContainerRecord,
  before: Endpoint | undefined,
  { network, directory, link }: BridgeChange,
): Promise<Endpoint | undefined> {
  const wanted = defaultBridgeOf(record);
  const stays =
    wanted !== undefined && before?.interfaceName === wanted.interfaceName && hasMac(before, wanted.macAddress);
  if (stays || (!wanted && !before)) {
    await link(before);
    return before;
  }
  // It may have left and joined again since this host heard of it.
  if (before) await link(undefined);
  if (!wanted) {
    await noteEndpoint(directory, undefined);
    return undefined;
  }
  await network.ready();
  const joined = network.take(record.id, wanted.macAddress, wanted.interfaceName);
  await noteEndpoint(directory, joined);
  try {
    await link(joined);
    return joined;
  } catch (error) {
    await link(undefined).then(
      async () => {
        await noteEndpoint(directory, before);
        network.release(record.id, joined.address);
      },
      () => undefined,
    );
    throw error;
  }
}

/** Whether its hardware address is the one asked for, if one was. */
function hasMac({ macAddress }: Endpoint, asked: string): boolean {
  return asked === '' || macAddress === asked.toLowerCase();
}
