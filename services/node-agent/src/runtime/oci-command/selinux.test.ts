import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { labelOf, NOT_APPLICABLE } from '../../selinux/testing/selinux-here.ts';
import { type OciConfig, OciHost } from '../testing/oci-host.ts';

const OWN = '/proc/self/attr/current';
const LABEL = 'system_u:system_r:container_t:s0:c1,c2';
const OTHER = 'system_u:system_r:spc_t:s0:c3,c4';
const FILES = 'system_u:object_r:container_file_t:s0:c1,c2';

const labelled = (config: OciConfig): void => {
  Object.assign(config.process, { selinuxLabel: LABEL });
  Object.assign(config.linux, { mountLabel: FILES });
  config.mounts.push({ destination: '/t', type: 'tmpfs', source: 'tmpfs', options: [] });
};

/** SELinux labels by our OCI command line beside Debian's runc: the same give the same. */
describe.each(['runc', 'atoll-oci'] as const)('SELinux labels by %s', { timeout: 300_000 }, (name) => {
  let host: OciHost;
  beforeAll(async () => {
    if (NOT_APPLICABLE === undefined) host = await OciHost.create(name);
  });
  afterAll(async () => {
    host?.deleteAll();
    await host?.[Symbol.asyncDispose]();
  });
  beforeEach(({ skip }) => skip(NOT_APPLICABLE !== undefined, NOT_APPLICABLE));

  const plain = (text: string): string => text.replaceAll('\0', '').trim();
  /** The root of a bundle has the label of the mount it is in; who makes bundles labels it. */
  const bundle = async (argv: readonly string[]): Promise<string> => {
    const path = await host.bundle(argv, labelled);
    execFileSync('chcon', ['-R', '-h', FILES, join(path, 'rootfs')]);
    expect(labelOf(join(path, 'rootfs'))).toBe(FILES);
    return path;
  };

  test('of the process, its mounts and its execs', async () => {
    const id = host.newId();
    const path = await bundle(['sleep', '600']);
    expect(host.run(['run', '-d', '--bundle', path, id], { detached: true }).code).toBe(0);
    expect(plain(host.run(['exec', id, 'cat', OWN]).stdout)).toBe(LABEL);
    expect(plain(host.run(['exec', '--process-label', OTHER, id, 'cat', OWN]).stdout)).toBe(OTHER);
    const mounts = host.run(['exec', id, 'cat', '/proc/self/mounts']).stdout.split('\n');
    for (const target of ['/t', '/dev', '/dev/shm', '/dev/pts'])
      expect(mounts.find((line) => line.split(' ')[1] === target)).toContain(FILES);
    const { process } = JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as OciConfig;
    const file = join(host.folder, 'process.json');
    await writeFile(file, JSON.stringify({ ...process, args: ['cat', OWN], selinuxLabel: OTHER }));
    expect(plain(host.run(['exec', '--process', file, id]).stdout)).toBe(OTHER);
    host.run(['delete', '--force', id]);
  });

  test('one that the policy does not know is an error, and nothing runs', async () => {
    const change = (config: OciConfig): void =>
      void Object.assign(config.process, { selinuxLabel: LABEL.replace('container_t', 'atoll_none_t') });
    const { code, stdout, stderr } = await host.outcome(['echo', 'runs'], change);
    expect([code === 0, stdout]).toEqual([false, '']);
    expect(stderr).toMatch(
      name === 'runc' ? /attr\/exec|invalid argument/i : /policy does not know the label \\"system_u/,
    );
  });
});

test.skipIf(NOT_APPLICABLE === undefined)('an exec with a label on a kernel without', { timeout: 60_000 }, async () => {
  await using host = await OciHost.create('atoll-oci');
  const id = host.newId();
  const bundle = await host.bundle(['sleep', '600']);
  expect(host.run(['run', '-d', '--bundle', bundle, id], { detached: true }).code).toBe(0);
  expect(host.run(['exec', '--process-label', LABEL, id, 'true'])).toMatchObject({
    code: 255,
    stderr: expect.stringContaining(`--process-label ${LABEL}: it is malformed, or this kernel has no SELinux`),
  });
  host.run(['delete', '--force', id]);
});
