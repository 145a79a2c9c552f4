import { notFound, reasonOf } from '@atoll/errors';
import { containerV1, imageV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { errorOfIssues } from '../../routing/zod-issues.ts';
import type { NetworkLookup } from '../network/backend.ts';
import type { ContainerImages, ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import { referencesOf } from './create-references.ts';
import { CREATE_REQUEST } from './create-request.ts';
import { createSpec } from './create-spec.ts';
import { hostConfigObject } from './host-config-view.ts';

const ID = 'ab'.repeat(32);
const DB = 'd0'.repeat(32);

function container(id: string, name: string, mode: string): ContainerView {
  const spec = containerV1.ContainerSpec.fromPartial({ name, network: { mode, hostname: `${name}-host` } });
  return {
    record: containerV1.ContainerRecord.fromPartial({ id, nodeId: 'n1', spec }),
    spec,
    status: undefined,
    node: undefined,
  };
}
const containers = [container(DB, 'db', 'default'), container('e0'.repeat(32), 'lonely', 'none')];
const resolved = {
  image: imageV1.Image.fromPartial({}),
  config: { config: { Cmd: ['sh'], ExposedPorts: { '80/tcp': {} } } },
};
const backend: ContainerLookup & ContainerImages & Pick<NetworkLookup, 'findNetwork'> = {
  findNetwork: () => undefined,
  find: (reference) => {
    const found = containers.find(
      ({ spec, record }) => spec.name === reference.replace(/^\//, '') || record.id.startsWith(reference),
    );
    if (!found) throw notFound(`No such container: ${reference}`);
    return found;
  },
  list: () => containers,
  nodeCount: () => 2,
  likelyContent: () => undefined,
  resolveContent: async () => resolved,
};

async function spec(HostConfig: object, body: object = {}): Promise<containerV1.ContainerSpec> {
  const given = { Image: 'busybox', ...body, HostConfig };
  const parsed = CREATE_REQUEST.safeParse(given);
  if (!parsed.success) throw errorOfIssues(parsed.error, given);
  const references = await referencesOf(parsed.data.HostConfig ?? {}, backend, AbortSignal.timeout(1000));
  return createSpec(ID, 'web', parsed.data, resolved, references);
}

describe("other containers' namespaces", () => {
  test.each<[string, object, object]>([
    ['by name', { IpcMode: 'container:db' }, { ipcMode: `container:${DB}` }],
    ['by the beginning of an id', { PidMode: 'container:d0d0' }, { pidMode: `container:${DB}` }],
    ['of host names', { UTSMode: 'container:db' }, { utsMode: `container:${DB}` }],
    ['to be shared', { IpcMode: 'shareable' }, { ipcMode: 'shareable' }],
    ["the host's users", { UsernsMode: 'host' }, { usernsMode: 'host' }],
    ["the users of the node's choice", { UsernsMode: '' }, { usernsMode: '' }],
    [
      'a network, with its name and without ports of its own',
      { NetworkMode: 'container:db' },
      { network: { mode: `container:${DB}`, hostname: 'db-host', exposedPorts: [], ports: [] } },
    ],
    [
      'links',
      { Links: ['db', '/db:store'] },
      {
        links: [
          { containerId: DB, name: 'db', alias: 'db' },
          { containerId: DB, name: 'db', alias: 'store' },
        ],
      },
    ],
  ])('%s', async (_name, host, want) => {
    expect(await spec(host)).toMatchObject(want);
  });

  test('inspect shows links as docker does', async () => {
    const made = await spec({ Links: ['db:store'] });
    const view = {
      record: containerV1.ContainerRecord.fromPartial({ id: ID, spec: made }),
      spec: made,
      status: undefined,
      node: undefined,
    };
    expect(hostConfigObject(view)['Links']).toEqual(['/db:/web/store']);
  });

  test.each<[string, object, object, string]>([
    ['nobody', { PidMode: 'container:ghost' }, {}, 'HostConfig.PidMode: No such container: ghost'],
    [
      'users of another',
      { UsernsMode: 'container:db' },
      {},
      'HostConfig.UsernsMode: invalid user namespace mode: container:db: must be "host" or empty',
    ],
    ['no name', { IpcMode: 'container:' }, {}, 'HostConfig.IpcMode: invalid container format'],
    ['a size of memory that is shared', { IpcMode: 'container:db', ShmSize: 1024 }, {}, 'shm size and an IPC mode'],
    [
      'a hostname in a network of another',
      { NetworkMode: 'container:db' },
      { Hostname: 'x' },
      'hostname and the network mode',
    ],
    [
      'ports in it',
      { NetworkMode: 'container:db', PublishAllPorts: true },
      {},
      'port publishing and the container type',
    ],
    [
      'links in it',
      { NetworkMode: 'container:db', Links: ['db'] },
      {},
      "container type network can't be used with links",
    ],
    [
      'links on the host network',
      { NetworkMode: 'host', Links: ['db'] },
      {},
      "host type network can't be used with links",
    ],
    ['a link to nobody', { Links: ['ghost'] }, {}, 'HostConfig.Links: No such container: ghost'],
    ['a link to one without a network', { Links: ['lonely'] }, {}, 'lonely is not on the default bridge'],
    ['a link of no form', { Links: ['db:a:b'] }, {}, 'HostConfig.Links: bad format for links: db:a:b'],
    ['an alias that is none', { Links: ['db:a b'] }, {}, 'HostConfig.Links: bad format'],
  ])('refused: %s', async (_name, host, body, message) => {
    const error = await spec(host, body).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(reasonOf(error)).toBe('invalid-argument');
    expect((error as Error).message).toContain(message);
  });
});
