import { invalidArgument, permissionDenied, unimplemented } from '@atoll/errors';
import { networkV1 } from '@atoll/proto';
import { sendEmpty } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerView } from '../container/container-view.ts';
import { ENDPOINT, endpointSpec } from '../container/endpoint-request.ts';
import { absentable, flag, knownFields, text } from '../container/lenient-object.ts';
import { networkName } from '../container/networks-view.ts';
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
    if (!network.record) refuseBuiltIn(network, container, 'connect');
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
    if (!network.record) refuseBuiltIn(network, container, 'disconnect');
    await backend.disconnect(network, container, request.Force ?? false, context.signal);
    sendEmpty(context.response, 200);
  };
}

function containerOf(reference: string | undefined): string {
  if (reference === undefined || reference === '') throw invalidArgument('Container: names no container');
  return reference;
}

/** What docker refuses, in its words; what it does on its default bridge is not built. */
function refuseBuiltIn({ name }: NetworkView, container: ContainerView, what: 'connect' | 'disconnect'): never {
  if (name === 'host') {
    throw invalidArgument('container cannot be disconnected from host network or connected to host network');
  }
  if (name === 'none') {
    throw invalidArgument(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
  if (what === 'connect' && networkName(container) === name) {
    throw permissionDenied(`endpoint with name ${container.spec.name} already exists in network ${name}`);
  }
  throw unimplemented(
    `${what} with network ${name} is not built yet: a container has the default bridge from its creation to its end, or never`,
  );
}
