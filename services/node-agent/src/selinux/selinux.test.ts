import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildV1, containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { UserNamespaceMode } from '../runtime/testing/user-namespace-modes.ts';
import { TestHost, type TestRuntime } from '../testing/test-host.ts';
import { labelOf, NOT_APPLICABLE } from './testing/selinux-here.ts';

const OWN = '/proc/self/attr/current';
const CONFINED = /^system_u:system_r:container_t:s0:c\d+,c\d+$/;
const UNCONFINED = 'system_u:system_r:spc_t:s0';
const SHARED = 'system_u:object_r:container_file_t:s0';
const INVALID_ARGUMENT = 3;
const FAILED_PRECONDITION = 9;

type Spec = Parameters<typeof containerV1.ContainerSpec.fromPartial>[0];

/** What a label reads as in /proc. */
const plain = (text: string): string => text.replaceAll('\0', '').trim();

/** The order to start a prepared container, its failure as the agent's answer. */
async function start(host: TestHost, record: containerV1.ContainerRecord) {
  return await host.scheduler.tryOrder({
    action: 2,
    record: { ...record, desired: containerV1.DesiredState.RUNNING, generation: record.generation + 1n },
  });
}

async function withFolder(body: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'atoll-selinux-'));
  // For root of a user namespace too: nothing but the label is to refuse it.
  await chmod(path, 0o755);
  try {
    await body(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

const bind = (source: string, relabel = ''): Spec => ({ mounts: [{ type: 'bind', source, target: '/data', relabel }] });

describe.skipIf(NOT_APPLICABLE === undefined)('a host that does not use SELinux', { timeout: 60_000 }, () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create();
  });
  afterAll(async () => {
    await host?.dispose();
  });

  test('says so, runs containers without labels, and starts none that names one', async () => {
    expect(host.scheduler.hello?.facts?.selinux).toEqual({
      enabled: false,
      missing: expect.stringMatching(/^its (kernel has|SELinux policy does not know)/),
    });
    const { status } = await host.run(host.record(['true'], { security: { selinux: { disable: true } } }));
    expect(status).toMatchObject({ exitCode: 0, processLabel: '', mountLabel: '' });
    const record = host.record(['true'], { security: { selinux: { type: 'web_t' } } });
    await host.scheduler.tryOrder({ action: 1, record });
    expect(await start(host, record)).toMatchObject({
      code: FAILED_PRECONDITION,
      message: expect.stringMatching(/cannot have the container's SELinux label: its (kernel has|SELinux policy)/),
    });
  });

  test.each(['shared', 'private'])('leaves the files of binds as they are: %s', async (relabel) => {
    await withFolder(async (path) => {
      await writeFile(join(path, 'file'), 'text\n');
      const before = labelOf(path);
      expect((await host.run(host.record(['cat', '/data/file'], bind(path, relabel)))).output).toBe('text\n');
      expect(labelOf(path)).toBe(before);
    });
  });
});

describe.each<[TestRuntime, UserNamespaceMode]>([
  ['native', 'without'],
  ['native', 'with'],
  ['runc', 'without'],
])('containers of %s, %s user namespaces, with SELinux enforcing', { timeout: 300_000 }, (runtime, userNamespaces) => {
  let host: TestHost;
  beforeAll(async () => {
    if (NOT_APPLICABLE === undefined) host = await TestHost.create({ runtime, userNamespaces });
  }, 300_000);
  afterAll(async () => {
    await host?.dispose();
  }, 300_000);
  beforeEach(({ skip }) => skip(NOT_APPLICABLE !== undefined, NOT_APPLICABLE));

  const exec = async (id: string, argv: readonly string[], more: { privileged?: boolean } = {}): Promise<string> =>
    plain((await host.exec(id, { argv: [...argv], ...more })).output);

  const running = async (
    spec: Spec = {},
  ): Promise<containerV1.ContainerStatus & { record: containerV1.ContainerRecord }> => {
    const record = host.record(['sleep', '600'], spec);
    await host.ensure(record);
    await host.start(record);
    return { ...(await host.scheduler.status(({ id, pid }) => id === record.id && pid !== 0)), record };
  };

  test('are told of by the host', () => {
    expect(host.scheduler.hello?.facts?.selinux).toEqual({ enabled: true, missing: '' });
  });

  test('have labels with categories of their own, and so has what is executed in them', async () => {
    const [one, other] = [await running(), await running()];
    for (const { id, pid, processLabel, mountLabel } of [one, other]) {
      expect(processLabel).toMatch(CONFINED);
      expect(mountLabel).toBe(processLabel.replace('system_r:container_t', 'object_r:container_file_t'));
      expect(plain(await readFile(`/proc/${pid}/attr/current`, 'utf8'))).toBe(processLabel);
      expect(await exec(id, ['cat', OWN])).toBe(processLabel);
      expect(await exec(id, ['cat', OWN], { privileged: true })).toBe(processLabel);
      const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8');
      for (const target of ['/', '/dev', '/dev/pts', '/dev/shm'])
        expect(mounts.split('\n').find((line) => line.split(' ')[4] === target)).toContain(mountLabel);
    }
    expect(one.processLabel).not.toBe(other.processLabel);
    // All that a shell needs is allowed.
    expect(
      await exec(one.id, [
        'sh',
        '-c',
        'echo a > /tmp-file && ln -s x /l && mkdir /d && cat /tmp-file /etc/hosts | head -n 1',
      ]),
    ).toBe('a');
    await host.remove(other.record);
    await host.killAgent();
    await host.startAgent();
    expect(await exec(one.id, ['cat', OWN])).toBe(one.processLabel);
    await host.remove(one.record);
  });

  test('keep their label over runs', async () => {
    const record = host.record(['cat', OWN]);
    const { output: first } = await host.run(record);
    await host.run({ ...record, generation: 5n });
    const lines = (await host.logs(record.id)).split('\0').map(plain).filter(Boolean);
    expect(plain(first)).toMatch(CONFINED);
    expect(new Set(lines)).toEqual(new Set([plain(first)]));
    await host.remove(record);
  });

  test('read no files of the host that have another label, and those of others only where they are shared', async () => {
    await withFolder(async (path) => {
      await writeFile(join(path, 'file'), 'text\n');
      await symlink('/etc/passwd', join(path, 'link'));
      const passwd = labelOf('/etc/passwd');
      const read = async (relabel: string): Promise<string> => {
        const record = host.record(['sh', '-c', 'cat /data/file 2>&1; echo end'], bind(path, relabel));
        const { output } = await host.run(record);
        await host.remove(record);
        return output;
      };
      const denied = /Permission denied\nend\n$/;
      expect(await read('')).toMatch(denied);
      expect(await read('shared')).toBe('text\nend\n');
      expect(labelOf(join(path, 'file'))).toBe(SHARED);
      expect(labelOf(join(path, 'link'))).toBe(SHARED);
      expect(labelOf('/etc/passwd')).toBe(passwd);
      expect(await read('')).toBe('text\nend\n');
      expect(await read('private')).toBe('text\nend\n');
      expect(labelOf(join(path, 'file'))).toMatch(/container_file_t:s0:c\d+,c\d+$/);
      // The last one's files are no others'.
      expect(await read('')).toMatch(denied);
    });
  });

  test('run programs of images they mount, and write to their tmpfs', async () => {
    const record = host.record(['sh', '-c', '/image/bin/busybox echo a > /t/file && cat /t/file'], {
      mounts: [
        { type: 'image', source: 'busybox', target: '/image', image: { layers: [host.layer] } },
        { type: 'tmpfs', target: '/t', options: 'size=64k' },
      ],
    });
    expect((await host.run(record)).output).toBe('a\n');
    await host.remove(record);
  });

  test('share volumes', async () => {
    const mounts = [{ type: 'volume', source: `${host.name}-volume`, target: '/data' }];
    const writer = host.record(['sh', '-c', 'echo text > /data/file'], { mounts });
    await host.run(writer);
    const reader = host.record(['cat', '/data/file'], { mounts });
    expect((await host.run(reader)).output).toBe('text\n');
    for (const record of [writer, reader]) await host.remove(record);
  });

  test.each<[string, Spec, string]>([
    ['privileged', { usernsMode: 'host', security: { privileged: true } }, UNCONFINED],
    ['with no label by wish', { security: { selinux: { disable: true } } }, UNCONFINED],
    ["among the host's processes", { usernsMode: 'host', pidMode: 'host' }, UNCONFINED],
    [
      'of another type and level',
      { security: { selinux: { type: 'spc_t', level: 's0:c5,c6' } } },
      `${UNCONFINED}:c5,c6`,
    ],
    [
      'privileged with a level',
      { usernsMode: 'host', security: { privileged: true, selinux: { level: 's0:c5,c6' } } },
      'system_u:system_r:container_t:s0:c5,c6',
    ],
    ['without new privileges, with --init', { init: true, security: { noNewPrivileges: true } }, ''],
  ])('%s', async (_name, spec, want) => {
    const { record, id, processLabel, pid } = await running(spec);
    if (want === '') expect(processLabel).toMatch(CONFINED);
    else expect(processLabel).toBe(want);
    expect(plain(await readFile(`/proc/${pid}/attr/current`, 'utf8'))).toBe(processLabel);
    expect(await exec(id, ['cat', OWN])).toBe(processLabel);
    await host.remove(record);
  });

  test('that join a namespace have the label of whose it is', async () => {
    const owner = await running({ ipcMode: 'shareable' });
    const guest = await running({ pidMode: `container:${owner.id}`, ipcMode: `container:${owner.id}` });
    expect([guest.processLabel, guest.mountLabel]).toEqual([owner.processLabel, owner.mountLabel]);
    for (const { record } of [guest, owner]) await host.remove(record);
  });

  test('a label that the policy does not know, and folders of the system, are refused', async () => {
    for (const [spec, code, message] of [
      [
        { security: { selinux: { type: 'atoll_none_t' } } },
        FAILED_PRECONDITION,
        /does not allow for the label "system_u:system_r:atoll_none_t/,
      ],
      [bind('/etc', 'private'), INVALID_ARGUMENT, /bind source \/etc cannot be relabelled/],
    ] as const) {
      const record = host.record(['true'], spec);
      await host.scheduler.tryOrder({ action: 1, record });
      expect(await start(host, record)).toMatchObject({ code, message: expect.stringMatching(message) });
      await host.remove(record);
    }
  });

  test('and so is RUN of a build', async () => {
    const channel = host.channelOf(await host.pki.identity('image-builder', 'builder-1'));
    const steps = channel.client(buildV1.BuildStepServiceService);
    let output = '';
    const request = { base: { layers: [host.layer] }, argv: ['cat', OWN], env: ['PATH=/bin'], networkMode: 'none' };
    for await (const { message } of steps.runStep(buildV1.RunStepRequest.fromPartial(request)))
      if (message?.$case === 'output') output += message.value.data.toString();
    expect(plain(output)).toMatch(CONFINED);
  });
});
