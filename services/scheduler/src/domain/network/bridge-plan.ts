import { invalidArgument } from '@atoll/errors';
import { containerV1, type networkV1 } from '@atoll/proto';
import { canonicalMac, interfaceName, takenInterfaces } from './endpoint-names.ts';
import { type Connected, checkMode } from './endpoint-plan.ts';

const FIELD = 'EndpointConfig';

/**
 * A place on the default bridge for a container that exists.
 * @throws invalid-argument naming the field, in docker's words where it refuses the same
 */
export function planBridge(
  container: Connected,
  asked: networkV1.EndpointSpec,
  endpointId: string,
): containerV1.DefaultBridge {
  checkMode(container.mode);
  if (asked.ipv4Address !== '' || asked.ipv6Address !== '' || asked.linkLocalIps.length > 0) {
    throw invalidArgument(`${FIELD}.IPAMConfig: user specified IP address is supported on user defined networks only`);
  }
  if (asked.aliases.length > 0) {
    throw invalidArgument(
      `${FIELD}.Aliases: network-scoped alias is supported only for containers in user defined networks`,
    );
  }
  return containerV1.DefaultBridge.fromPartial({
    connected: true,
    endpointId,
    interfaceName: interfaceName(FIELD, {}, takenInterfaces(container.bridge, container.endpoints)),
    macAddress: asked.macAddress === '' ? '' : canonicalMac(`${FIELD}.MacAddress`, asked.macAddress),
  });
}
