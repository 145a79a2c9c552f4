import { isContainerName, signalNumber } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryFlag, queryInteger, queryText } from '../../routing/query.ts';
import { sendEmpty, sendJson } from '../../routing/reply.ts';
import { readJson, readText } from '../../routing/request-body.ts';
import type { Handler, RequestContext } from '../../routing/request-context.ts';
import type { ContainerLifecycle, ContainerLookup, StopOptions } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import { RESOURCE_FIELDS, RESTART_POLICY } from './host-config-request.ts';
import { absentable, fixed, knownFields } from './lenient-object.ts';
import { limitsOf } from './limits.ts';
import { restartPolicyOf } from './restart-policy.ts';

type Backend = ContainerLookup & ContainerLifecycle;

function viewOf(backend: Backend, context: RequestContext): ContainerView {
  return backend.find(context.params['id'] ?? '');
}

/** Not in the published API, but sent by the CLI with `start --checkpoint`. */
const START_QUERY = z.object({ checkpoint: queryText() });

/** POST /containers/{id}/start */
export function startContainer(backend: Backend): Handler {
  return async (context) => {
    const body = await readText(context.request);
    if (body.trim() !== '' && !/^(\{\s*\}|null)$/.test(body.trim())) {
      throw invalidArgument(
        'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
      );
    }
    const { checkpoint } = parseQuery(context.query, START_QUERY);
    if (checkpoint !== '') {
      throw unimplemented('POST /containers/{id}/start: starting from a checkpoint is not built (checkpoint)');
    }
    const changed = await backend.start(viewOf(backend, context), context.signal);
    sendEmpty(context.response, changed ? 204 : 304);
  };
}

const STOP_QUERY = z.object({ signal: queryText(), t: queryInteger() });

function stopOptions(context: RequestContext): StopOptions {
  const { signal, t } = parseQuery(context.query, STOP_QUERY);
  return { signal: checkedSignal(signal), timeoutSeconds: t === undefined ? undefined : Math.max(t, -1) };
}

function checkedSignal(text: string): string {
  if (text !== '' && signalNumber(text) === undefined) throw invalidArgument(`Invalid signal: ${text}`);
  return text;
}

/** POST /containers/{id}/stop */
export function stopContainer(backend: Backend): Handler {
  return async (context) => {
    const changed = await backend.stop(viewOf(backend, context), stopOptions(context), context.signal);
    sendEmpty(context.response, changed ? 204 : 304);
  };
}

/** POST /containers/{id}/restart */
export function restartContainer(backend: Backend): Handler {
  return async (context) => {
    await backend.restart(viewOf(backend, context), stopOptions(context), context.signal);
    sendEmpty(context.response, 204);
  };
}

const KILL_QUERY = z.object({ signal: queryText() });

/** POST /containers/{id}/kill */
export function killContainer(backend: Backend): Handler {
  return async (context) => {
    const signal = checkedSignal(parseQuery(context.query, KILL_QUERY).signal);
    await backend.kill(viewOf(backend, context), signal, context.signal);
    sendEmpty(context.response, 204);
  };
}

/** POST /containers/{id}/pause */
export function pauseContainer(backend: Backend): Handler {
  return async (context) => {
    await backend.pause(viewOf(backend, context), context.signal);
    sendEmpty(context.response, 204);
  };
}

/** POST /containers/{id}/unpause */
export function unpauseContainer(backend: Backend): Handler {
  return async (context) => {
    await backend.unpause(viewOf(backend, context), context.signal);
    sendEmpty(context.response, 204);
  };
}

const RENAME_QUERY = z.object({ name: queryText() });

/** POST /containers/{id}/rename */
export function renameContainer(backend: Backend): Handler {
  return async (context) => {
    const name = parseQuery(context.query, RENAME_QUERY).name.replace(/^\//, '');
    const view = viewOf(backend, context);
    if (name === '') throw invalidArgument('Neither old nor new names may be empty');
    if (!isContainerName(name)) {
      throw invalidArgument(
        `Error when allocating new name: Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
    if (name === view.spec.name) {
      throw invalidArgument('Renaming a container with the same name as its current name');
    }
    await backend.rename(view, name, context.signal);
    sendEmpty(context.response, 204);
  };
}

const AT_CREATE = 'is set when a container is created; an update cannot change it';
const UPDATE_REQUEST = knownFields({
  ...RESOURCE_FIELDS,
  // Docker's update does not take these either.
  BlkioWeightDevice: fixed(AT_CREATE),
  BlkioDeviceReadBps: fixed(AT_CREATE),
  BlkioDeviceWriteBps: fixed(AT_CREATE),
  BlkioDeviceReadIOps: fixed(AT_CREATE),
  BlkioDeviceWriteIOps: fixed(AT_CREATE),
  Devices: fixed(AT_CREATE),
  DeviceCgroupRules: fixed(AT_CREATE),
  DeviceRequests: fixed(AT_CREATE),
  Ulimits: fixed(AT_CREATE),
  Init: fixed(AT_CREATE),
  OomKillDisable: fixed(AT_CREATE),
  MemorySwappiness: fixed(AT_CREATE, -1),
  CgroupParent: fixed(AT_CREATE),
  KernelMemory: fixed('is not taken by kernels since 5.4'),
  KernelMemoryTCP: fixed('is not taken by kernels since 5.4'),
  RestartPolicy: absentable(RESTART_POLICY),
});

/** POST /containers/{id}/update */
export function updateContainer(backend: Backend): Handler {
  return async (context) => {
    const request = await readJson(context, UPDATE_REQUEST);
    const policy = restartPolicyOf(request.RestartPolicy ?? {}, false);
    const update = {
      resources: limitsOf(request),
      restartPolicy: policy.name === '' ? undefined : policy,
    };
    await backend.update(viewOf(backend, context), update, context.signal);
    sendJson(context.response, 200, { Warnings: null });
  };
}

const REMOVE_QUERY = z.object({ v: queryFlag(), force: queryFlag(), link: queryFlag() });

/** DELETE /containers/{id} */
export function removeContainer(backend: Backend): Handler {
  return async (context) => {
    const { v, force, link } = parseQuery(context.query, REMOVE_QUERY);
    if (link)
      throw unimplemented('the query parameter link, which removes a link between containers, is not built yet');
    await backend.remove(viewOf(backend, context), { force, volumes: v }, context.signal);
    sendEmpty(context.response, 204);
  };
}
