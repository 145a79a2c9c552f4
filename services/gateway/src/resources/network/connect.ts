import { invalidArgument, unimplemented } from '@atoll/errors';
import { networkV1 } from '@atoll/proto';
import { sendEmpty } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import { ENDPOINT, type EndpointRequest, endpointSpec } from '../container/endpoint-request.ts';
import { absentable, flag, isDefault, knownFields, text } from '../container/lenient-object.ts';
import type { NetworkBackend } from './backend.ts';
import { requireNetwork } from './handlers.ts';
import type { NetworkView } from './network-view.ts';

const CONNECT = knownFields({ Container: text, EndpointConfig: absentable(ENDPOINT) });

/** POST /networks/{id}/connect */
export function connectNetwork(backend: NetworkBackend): Handler {
  return async (context) => {
    const { response, signal } = context;
    const request = await readJson(context, CONNECT);
    const network = requireNetwork(backend, context.params['id'] ?? '');
    const container = backend.find(containerOf(request.Container));
    if (network.name === 'bridge') refuseOnBridge(request.EndpointConfig);
    else if (!network.record) refuseBuiltIn(network);
    const endpoint = request.EndpointConfig
      ? endpointSpec(network.name, request.EndpointConfig, 'EndpointConfig')
      : networkV1.EndpointSpec.fromPartial({ network: network.name });
    await backend.connect(network, container, endpoint, signal);
    sendEmpty(response, 200);
  };
}

const DISCONNECT = knownFields({ Container: text, Force: flag });

/** POST /networks/{id}/disconnect */
export function disconnectNetwork(backend: NetworkBackend): Handler {
  return async (context) => {
    const request = await readJson(context, DISCONNECT);
    const network = requireNetwork(backend, context.params['id'] ?? '');
    const container = backend.find(containerOf(request.Container));
    if (!network.record && network.name !== 'bridge') refuseBuiltIn(network);
    await backend.disconnect(network, container, request.Force ?? false, context.signal);
    sendEmpty(context.response, 200);
  };
}

function containerOf(reference: string | undefined): string {
  if (reference === undefined || reference === '') throw invalidArgument('Container: names no container');
  return reference;
}

/** In docker's words. */
function refuseBuiltIn({ name }: NetworkView): never {
  if (name === 'host') {
    throw invalidArgument('container cannot be disconnected from host network or connected to host network');
  }
  throw invalidArgument(
    'container cannot be connected to multiple networks with one of the networks in private (none) mode',
  );
}

/** What is not done on the default bridge; of what docker does not do there either the scheduler knows. */
function refuseOnBridge(asked: EndpointRequest | null | undefined): void {
  const { Links, DriverOpts, GwPriority } = asked ?? {};
  for (const [name, value] of Object.entries({ Links, DriverOpts, GwPriority })) {
    if (!isDefault(value)) throw unimplemented(`EndpointConfig.${name} is not built yet for the default bridge`);
  }
}
