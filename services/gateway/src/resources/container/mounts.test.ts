import { notFound, reasonOf } from '@atoll/errors';
import { containerV1, imageV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { errorOfIssues } from '../../routing/zod-issues.ts';
import type { NetworkLookup } from '../network/backend.ts';
import type { ContainerImages, ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import { placeBeside, referencesOf } from './create-references.ts';
import { HOST_CONFIG } from './host-config-request.ts';
import { mountsOf } from './mounts.ts';
import { bindTexts, mountObjects } from './mounts-view.ts';

const layer = containerV1.Layer.fromPartial({ digest: 'sha256:1', diffId: 'sha256:2' });

function container(name: string, nodeId: string, mounts: object[]): ContainerView {
  const spec = containerV1.ContainerSpec.fromPartial({ name, mounts });
  return {
    record: containerV1.ContainerRecord.fromPartial({ id: name, nodeId, spec }),
    spec,
    status: undefined,
    node: undefined,
  };
}

const containers = [
  container('db', 'n1', [
    { type: 'volume', source: 'data', target: '/data' },
    { type: 'volume', source: 'f'.repeat(64), target: '/own', anonymous: true },
    { type: 'bind', source: '/etc', target: '/etc-of-host', readOnly: true },
    { type: 'tmpfs', target: '/tmp' },
  ]),
  container('web', 'n2', [{ type: 'volume', source: 'pages', target: '/data' }]),
];
const backend: ContainerLookup & ContainerImages & Pick<NetworkLookup, 'findNetwork'> = {
  findNetwork: () => undefined,
  find: (reference) => {
    const found = containers.find(({ spec }) => spec.name === reference);
    if (!found) throw notFound(`No such container: ${reference}`);
    return found;
  },
  list: () => containers,
  nodeCount: () => 2,
  likelyContent: () => undefined,
  resolveContent: async (reference) => {
    if (reference !== 'tools' && reference !== 'empty') throw notFound(`No such image: ${reference}`);
    return {
      image: imageV1.Image.fromPartial({ id: 'sha256:9', layers: reference === 'tools' ? [layer] : [] }),
      config: {},
    };
  },
};

async function mounts(body: object, declared: string[] = []): Promise<containerV1.Mount[]> {
  const parsed = HOST_CONFIG.safeParse(body);
  if (!parsed.success) throw errorOfIssues(parsed.error, body);
  return mountsOf(parsed.data, declared, await referencesOf(parsed.data, backend, AbortSignal.timeout(1000)));
}

const at = (Type: string, more: object = {}): object => ({ Mounts: [{ Type, Target: '/m', ...more }] });

describe('mounts of a request', () => {
  test.each<[string, object, object[]]>([
    [
      'an image, always read only',
      at('image', { Source: 'tools', ImageOptions: { Subpath: 'usr/./bin/' } }),
      [
        {
          type: 'image',
          source: 'tools',
          subpath: 'usr/bin',
          readOnly: true,
          image: { imageId: 'sha256:9', layers: [layer] },
        },
      ],
    ],
    [
      'a part of a volume, with labels for a new one',
      at('volume', { Source: 'v1', VolumeOptions: { Subpath: 'a/b', Labels: { x: 'y' } } }),
      [{ source: 'v1', subpath: 'a/b', volumeLabels: { x: 'y' } }],
    ],
    [
      'options of tmpfs',
      at('tmpfs', { TmpfsOptions: { SizeBytes: 4096, Options: [['exec'], ['nr_inodes', '10']] } }),
      [{ tmpfsSize: 4096n, tmpfsOptions: ['exec', 'nr_inodes=10'] }],
    ],
    [
      'a bind of one mount only, that has to be there',
      at('bind', { Source: '/a', BindOptions: { NonRecursive: true } }),
      [{ source: '/a', nonRecursive: true, mustExist: true }],
    ],
    [
      'a bind that may be made',
      at('bind', { Source: '/a', BindOptions: { CreateMountpoint: true } }),
      [{ mustExist: false }],
    ],
    [
      'a bind that is read only on top',
      at('bind', { Source: '/a', ReadOnly: true, BindOptions: { ReadOnlyNonRecursive: true } }),
      [{ readOnly: true, readOnlyNonRecursive: true }],
    ],
    [
      "another container's volumes and binds",
      { VolumesFrom: ['db'] },
      [
        { source: 'data', target: '/data', readOnly: false, inherited: true, noCopy: true },
        { source: 'f'.repeat(64), target: '/own', anonymous: true, inherited: true },
        { type: 'bind', target: '/etc-of-host', readOnly: true },
      ],
    ],
    ['the same, relabelled', { VolumesFrom: ['web:Z'] }, [{ source: 'pages', readOnly: false, relabel: 'private' }]],
    ['the same, read only', { VolumesFrom: ['web:ro'] }, [{ source: 'pages', readOnly: true }]],
    [
      'the last of two at a path',
      { VolumesFrom: ['web', 'db:rw'] },
      [{ source: 'data' }, { target: '/own' }, { type: 'bind' }],
    ],
    [
      "the container's own first",
      { Binds: ['mine:/data'], VolumesFrom: ['web'] },
      [{ source: 'mine', inherited: false }],
    ],
  ])('%s', async (_name, body, want) => {
    const made = await mounts(body);
    expect(made).toMatchObject(want);
    expect(made).toHaveLength(want.length);
  });

  test('what is inherited covers a declared volume', async () => {
    expect(await mounts({ VolumesFrom: ['web'] }, ['/data'])).toMatchObject([{ source: 'pages' }]);
  });

  test('inspect shows them as they were given', async () => {
    const body = {
      Mounts: [
        { Type: 'image', Source: 'tools', Target: '/a', ImageOptions: { Subpath: 'x' } },
        {
          Type: 'volume',
          Source: 'v1',
          Target: '/b',
          VolumeOptions: { NoCopy: true, Labels: { x: 'y' }, Subpath: 's' },
        },
        { Type: 'bind', Source: '/h', Target: '/c', ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true } },
        { Type: 'tmpfs', Target: '/d', TmpfsOptions: { SizeBytes: 1, Mode: 448, Options: [['exec']] } },
      ],
      Binds: ['v2:/e:ro', 'v3:/f:z', '/h:/g:ro,rslave,Z'],
      VolumesFrom: ['db'],
    };
    const view = container('x', 'n', await mounts(body));
    expect(mountObjects(view)).toEqual(body.Mounts);
    expect(bindTexts(view)).toEqual(body.Binds);
  });
});

describe('where the container goes', () => {
  const beside = async (VolumesFrom: string[]): Promise<readonly string[]> => {
    const references = await referencesOf({ VolumesFrom }, backend, AbortSignal.timeout(1000));
    return placeBeside(references.beside);
  };
  test('to the host of the other', async () => {
    expect(await beside(['db'])).toEqual(['node.id==n1']);
    expect(await beside([])).toEqual([]);
  });
  test('nowhere when there are two', async () => {
    await expect(beside(['db', 'web'])).rejects.toThrow('are on different hosts: db on n1, web on n2');
  });
});

describe('refusals', () => {
  test.each<[string, object, string]>([
    ['an image that is not there', at('image', { Source: 'nothing' }), 'No such image: nothing'],
    ['an image without files', at('image', { Source: 'empty' }), 'has no files'],
    ['an image without a name', at('image'), 'field Source must not be empty'],
    [
      'a path out of a volume',
      at('volume', { Source: 'v1', VolumeOptions: { Subpath: 'a/../../b' } }),
      'within the volume',
    ],
    [
      'an absolute path in an image',
      at('image', { Source: 'tools', ImageOptions: { Subpath: '/a' } }),
      'within the image',
    ],
    ['a path in an anonymous volume', at('volume', { VolumeOptions: { Subpath: 'a' } }), 'anonymous volumes'],
    [
      'options of another type',
      at('bind', { Source: '/a', TmpfsOptions: { SizeBytes: 1 } }),
      'field TmpfsOptions must not',
    ],
    [
      'read-only on top of what is not',
      at('bind', { Source: '/a', BindOptions: { ReadOnlyNonRecursive: true } }),
      '!ReadOnly',
    ],
    [
      'recursive and not',
      at('bind', { Source: '/a', ReadOnly: true, BindOptions: { NonRecursive: true, ReadOnlyForceRecursive: true } }),
      'NonRecursive && BindOptions.ReadOnlyForceRecursive',
    ],
    ['an unknown option of tmpfs', at('tmpfs', { TmpfsOptions: { Options: [['fast']] } }), 'invalid option ["fast"]'],
    ['a flag with a value', at('tmpfs', { TmpfsOptions: { Options: [['exec', '1']] } }), 'invalid option ["exec","1"]'],
    ['two options in one', at('tmpfs', { TmpfsOptions: { Options: [['size', '1,mode=0']] } }), 'invalid option'],
    ['two sizes', at('tmpfs', { TmpfsOptions: { SizeBytes: 1, Options: [['size', '2']] } }), 'size is given twice'],
    ['a mode that is none', at('tmpfs', { TmpfsOptions: { Mode: 5000 } }), 'TmpfsOptions.Mode'],
    ['a cluster volume', at('cluster', { Source: 'x' }), 'mounts of type cluster'],
    ['volumes of nobody', { VolumesFrom: ['ghost'] }, 'HostConfig.VolumesFrom: No such container: ghost'],
    ['volumes in an unknown mode', { VolumesFrom: ['db:fast'] }, 'HostConfig.VolumesFrom: invalid mode: fast'],
    ['volumes of an empty name', { VolumesFrom: [''] }, 'cannot be an empty string'],
  ])('%s', async (_name, body, message) => {
    const error = await mounts(body).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(['invalid-argument', 'unimplemented']).toContain(reasonOf(error));
    expect((error as Error).message).toContain(message);
  });
});
