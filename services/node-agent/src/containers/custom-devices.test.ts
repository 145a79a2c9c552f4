import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { customDevices } from './custom-devices.ts';

const folder = mkdtempSync(join(tmpdir(), 'atoll-devices-'));
beforeAll(async () => {
  await mkdir(join(folder, 'many/deeper'), { recursive: true });
  await mkdir(join(folder, 'empty'));
  execFileSync('mknod', ['-m', '600', join(folder, 'many/a'), 'c', '10', '229']);
  execFileSync('mknod', ['-m', '640', join(folder, 'many/deeper/b'), 'b', '7', '300']);
  await symlink('many/a', join(folder, 'link'));
  await writeFile(join(folder, 'file'), '');
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const device = (name: string, pathInContainer: string, cgroupPermissions = 'rwm') => ({
  pathOnHost: join(folder, name),
  pathInContainer,
  cgroupPermissions,
});
const find = (resources: Parameters<typeof containerV1.Resources.fromPartial>[0]) =>
  customDevices(containerV1.Resources.fromPartial(resources));

describe('devices of the host', () => {
  test.each([
    ['a node', 'many/a'],
    ['what a link leads to', 'link'],
  ])('%s', async (_name, name) => {
    const { nodes, rules } = await find({ devices: [device(name, '/dev/x', 'r')] });
    expect(nodes).toEqual([{ path: '/dev/x', type: 'c', major: 10, minor: 229, mode: 0o600, uid: 0, gid: 0 }]);
    expect(rules).toEqual([{ allow: true, type: 'c', major: 10, minor: 229, access: 'r' }]);
  });

  test('all nodes of a folder', async () => {
    const { nodes, rules } = await find({ devices: [device('many', '/dev/all')] });
    expect(nodes.map(({ path }) => path).sort()).toEqual(['/dev/all/a', '/dev/all/deeper/b']);
    expect(rules).toContainEqual({ allow: true, type: 'b', major: 7, minor: 300, access: 'rwm' });
  });

  test('rules come after those of the devices', async () => {
    const { rules } = await find({ devices: [device('many/a', '/dev/x')], deviceCgroupRules: ['b 8:* rw'] });
    expect(rules.at(-1)).toEqual({ allow: true, type: 'b', major: 8, minor: -1, access: 'rw' });
    expect(rules).toHaveLength(2);
  });

  test('limits of block devices', async () => {
    const path = join(folder, 'many/deeper/b');
    const { limits } = await find({
      blkioWeightDevice: [{ path, weight: 20 }],
      blkioDeviceWriteIops: [{ path, rate: 5n }],
    });
    expect(limits).toEqual([
      { kind: 'weight', major: 7, minor: 300, rate: 20n },
      { kind: 'writeIops', major: 7, minor: 300, rate: 5n },
    ]);
  });

  test.each([
    ['nothing there', { devices: [device('nothing', '/dev/x')] }],
    ['a file', { devices: [device('file', '/dev/x')] }],
    ['a folder without nodes', { devices: [device('empty', '/dev/x')] }],
  ])('refused: %s', async (_name, resources) => {
    await expect(find(resources)).rejects.toThrow(
      /error gathering device information while adding custom device ".*": (no such file|not a device node)/,
    );
  });

  test('refused: a limit of a character device', async () => {
    const path = join(folder, 'many/a');
    await expect(find({ blkioDeviceReadBps: [{ path, rate: 1n }] })).rejects.toThrow('is no block device of this host');
  });
});
