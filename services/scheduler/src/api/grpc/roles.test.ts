import { containerV1, identityV1, networkV1, nodeV1, volumeV1 } from '@atoll/proto';
import { Channel, ROLES } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestCluster, type TestCluster } from '../../testing/index.ts';
import { CONTAINER_SERVICE_ROLES } from './container-service.ts';
import { IDENTITY_SERVICE_ROLES } from './identity-service.ts';
import { NETWORK_SERVICE_ROLES } from './network-service.ts';
import { NODE_SERVICE_ROLES } from './node-service.ts';
import { VOLUME_SERVICE_ROLES } from './volume-service.ts';

/** Who may call what, once more and by hand: a change of a table has to be a change here. */
const WANTED: Readonly<Record<string, readonly string[]>> = {
  '/container.v1.ContainerService/CreateContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/StartContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/StopContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/KillContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/RestartContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/RemoveContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/PauseContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/UnpauseContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/RenameContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/UpdateContainer': ['gateway', 'operator'],
  '/container.v1.ContainerService/PublishPorts': ['gateway', 'operator'],
  '/container.v1.ContainerService/WithdrawPorts': ['gateway', 'operator'],
  '/volume.v1.VolumeService/CreateVolume': ['gateway', 'operator'],
  '/volume.v1.VolumeService/RemoveVolume': ['gateway', 'operator'],
  '/volume.v1.VolumeService/HoldVolume': ['gateway', 'operator'],
  '/volume.v1.VolumeService/CloneVolume': ['gateway', 'operator'],
  '/volume.v1.VolumeService/MoveVolume': ['gateway', 'operator'],
  '/volume.v1.VolumeService/RestoreVolume': ['gateway', 'operator'],
  '/network.v1.NetworkService/CreateNetwork': ['gateway', 'operator'],
  '/network.v1.NetworkService/RemoveNetwork': ['gateway', 'operator'],
  '/network.v1.NetworkService/ConnectContainer': ['gateway', 'operator'],
  '/network.v1.NetworkService/DisconnectContainer': ['gateway', 'operator'],
  '/node.v1.NodeService/Session': ['node'],
  '/node.v1.NodeService/ListNodes': ['gateway', 'operator', 'image-builder', 'registry', 'scheduler'],
  '/node.v1.NodeService/UpdateNode': ['gateway', 'operator'],
  '/node.v1.NodeService/RemoveNode': ['gateway', 'operator'],
  '/node.v1.NodeService/PlaceBuild': ['image-builder'],
  '/identity.v1.IdentityService/Join': ['anonymous', ...ROLES],
  '/identity.v1.IdentityService/CreateToken': ['operator', 'gateway'],
  '/identity.v1.IdentityService/RotateTokens': ['operator', 'gateway'],
  '/identity.v1.IdentityService/RenewCertificate': [...ROLES],
};

const SERVICES = [
  [containerV1.ContainerServiceService, CONTAINER_SERVICE_ROLES],
  [volumeV1.VolumeServiceService, VOLUME_SERVICE_ROLES],
  [networkV1.NetworkServiceService, NETWORK_SERVICE_ROLES],
  [nodeV1.NodeServiceService, NODE_SERVICE_ROLES],
  [identityV1.IdentityServiceService, IDENTITY_SERVICE_ROLES],
] as const;

const METHODS = SERVICES.flatMap(([definition, table]) =>
  Object.entries(definition).map(([name, method]) => ({ name, path: method.path, definition, table })),
);

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());

test('every method has roles, and this list knows every method', () => {
  expect(METHODS.map((method) => method.path).sort()).toEqual(Object.keys(WANTED).sort());
  for (const { name, table } of METHODS) expect(table).toHaveProperty(name);
});

describe.each([...ROLES, 'anonymous' as const])('as %s', (role) => {
  test('only what the list allows is let in', async () => {
    const identity = role === 'anonymous' ? undefined : await cluster.identity(role, 'x1');
    const channel = new Channel({
      address: cluster.leader.address,
      tls: identity ?? { ca: Buffer.from(cluster.pki.authority.certificatePem) },
      serverRole: 'scheduler',
    });
    const admitted: string[] = [];
    for (const { name, path, definition } of METHODS) {
      const client = channel.client(definition as typeof containerV1.ContainerServiceService);
      const call = client[name as 'startContainer'] as (request: unknown) => unknown;
      const refusal = await outcome(call(STREAMED.has(name) ? emptyStream() : (EMPTY[name] ?? { id: 'f00' })));
      if (refusal !== 'permission-denied' && refusal !== 'unauthenticated/certificate') admitted.push(path);
    }
    expect(admitted.sort()).toEqual(
      Object.keys(WANTED)
        .filter((path) => WANTED[path]?.includes(role))
        .sort(),
    );
    channel.close();
  });
});

/** Methods whose requests are a stream. */
const STREAMED = new Set(['session', 'restoreVolume']);

/** Requests that are complete enough to be sent. */
const EMPTY: Readonly<Record<string, unknown>> = {
  createContainer: { id: 'f00', spec: undefined },
  publishPorts: { id: 'f00', ports: [] },
  withdrawPorts: { id: 'f00', ports: [] },
  stopContainer: { id: 'f00', signal: '' },
  killContainer: { id: 'f00', signal: '' },
  restartContainer: { id: 'f00', signal: '' },
  removeContainer: { id: 'f00', force: false, volumes: false },
  renameContainer: { id: 'f00', name: 'x' },
  createVolume: { volume: undefined },
  removeVolume: { name: 'f00', force: false },
  holdVolume: { name: 'f00' },
  cloneVolume: { name: 'f00', newName: 'f01', live: false, labels: {} },
  moveVolume: { name: 'f00', node: '', recreate: false, with: [] },
  createNetwork: { network: undefined },
  connectContainer: { networkId: 'f00', containerId: 'f00', endpoint: undefined, endpointId: '' },
  disconnectContainer: { networkId: 'f00', containerId: 'f00', force: false },
  updateNode: { id: 'f00', availability: 0 },
  removeNode: { id: 'f00', force: false },
  placeBuild: { constraints: [], avoid: [] },
  join: { token: '', csrPem: '', hostname: '', addresses: [] },
  createToken: { role: 'nobody', ttlSeconds: 0n },
  rotateTokens: { role: 'nobody' },
  renewCertificate: { csrPem: '' },
};

async function* emptyStream(): AsyncGenerator<never> {}

async function outcome(call: unknown): Promise<string> {
  try {
    if (typeof call === 'object' && call !== null && Symbol.asyncIterator in call) {
      for await (const _item of call as AsyncIterable<unknown>) return 'done';
    } else await call;
    return 'done';
  } catch (error) {
    const { reason, message } = error as { reason: string; message: string };
    return reason === 'unauthenticated' && message.includes('needs a certificate')
      ? 'unauthenticated/certificate'
      : reason;
  }
}
