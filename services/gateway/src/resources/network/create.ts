import { randomBytes } from 'node:crypto';
import { networkV1 } from '@atoll/proto';
import { z } from 'zod';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import { absentable, flag, isDefault, knownFields, text, textMap, unbuilt } from '../container/lenient-object.ts';
import type { NetworkBackend } from './backend.ts';

const SUBNET = knownFields({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: textMap });

/** The body of POST /networks/create. `CheckDuplicate` asks for what is always done. */
const REQUEST = knownFields({
  Name: text,
  CheckDuplicate: flag,
  Driver: text,
  Scope: text,
  Internal: flag,
  Attachable: flag,
  Ingress: unbuilt(),
  ConfigOnly: flag,
  ConfigFrom: absentable(knownFields({ Network: text })),
  IPAM: absentable(knownFields({ Driver: text, Config: absentable(z.array(SUBNET)), Options: textMap })),
  EnableIPv4: flag,
  EnableIPv6: flag,
  Options: textMap,
  Labels: textMap,
});

/** POST /networks/create. What is wrong with it the scheduler says, which knows all other networks. */
export function createNetwork(backend: NetworkBackend): Handler {
  return async (context) => {
    const request = await readJson(context, REQUEST);
    const id = randomBytes(32).toString('hex');
    const network = networkV1.NetworkRecord.fromPartial({
      id,
      name: request.Name ?? '',
      driver: request.Driver || 'bridge',
      scope: request.Scope ?? '',
      internal: request.Internal ?? false,
      attachable: request.Attachable ?? false,
      configOnly: request.ConfigOnly ?? false,
      configFrom: request.ConfigFrom?.Network ?? '',
      ipv4: request.EnableIPv4 ?? true,
      ipv6: request.EnableIPv6 ?? false,
      labels: request.Labels ?? {},
      options: request.Options ?? {},
      ipamDriver: request.IPAM?.Driver ?? '',
      ipamOptions: request.IPAM?.Options ?? {},
      subnets: (request.IPAM?.Config ?? [])
        .filter((subnet) => !isDefault(subnet))
        .map(({ Subnet, IPRange, Gateway, AuxiliaryAddresses }) => ({
          cidr: Subnet ?? '',
          ipRange: IPRange ?? '',
          gateway: Gateway ?? '',
          auxAddresses: AuxiliaryAddresses ?? {},
        })),
    });
    const warning = await backend.createNetwork(network, context.signal);
    sendJson(context.response, 201, { Id: id, Warning: warning });
  };
}
