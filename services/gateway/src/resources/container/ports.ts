import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler, RequestContext } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerPorts } from './backend.ts';
import { parseBindings } from './port-bindings.ts';
import { bindingMap } from './ports-view.ts';
import { parsePublishMode } from './publish-mode.ts';

type Backend = ContainerLookup & ContainerPorts;

const BINDING = z.strictObject({ HostIp: z.string().optional(), HostPort: z.string().optional() });
const BINDINGS = z.record(z.string(), z.array(BINDING));
const PUBLISH_REQUEST = z.strictObject({ PortBindings: BINDINGS, Mode: z.string().optional() });
const WITHDRAW_REQUEST = z.strictObject({ PortBindings: BINDINGS });

/** POST /containers/{id}/ports, not of the published API: publishes ports of a container that exists. */
export function publishPorts(backend: Backend): Handler {
  return async (context) => {
    const view = backend.find(context.params['id'] ?? '');
    const { PortBindings, Mode } = await readJson(context, PUBLISH_REQUEST);
    const mode = parsePublishMode(Mode ?? '', 'Mode');
    const ports = notEmpty(parseBindings(PortBindings, 'PortBindings', mode));
    reply(context, await backend.publishPorts(view, ports, context.signal));
  };
}

/** POST /containers/{id}/ports/remove. Without host port and address every binding of the container's port goes. */
export function withdrawPorts(backend: Backend): Handler {
  return async (context) => {
    const view = backend.find(context.params['id'] ?? '');
    const { PortBindings } = await readJson(context, WITHDRAW_REQUEST);
    const ports = notEmpty(parseBindings(PortBindings, 'PortBindings', 'ingress'));
    if (ports.some(({ hostPortEnd }) => hostPortEnd > 0)) {
      throw invalidArgument('invalid value for PortBindings: a port to remove is named by one host port, not a range');
    }
    reply(context, await backend.withdrawPorts(view, ports, context.signal));
  };
}

/** What was published, or is not any more. */
function reply(context: RequestContext, ports: Awaited<ReturnType<ContainerPorts['publishPorts']>>): void {
  sendJson(context.response, 200, { Ports: bindingMap(ports, '0.0.0.0') });
}

function notEmpty<T>(ports: readonly T[]): readonly T[] {
  if (ports.length === 0) throw invalidArgument('PortBindings: at least one port has to be named');
  return ports;
}
