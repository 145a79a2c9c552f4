import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildV1, containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runTool } from '../processes/run-tool.ts';
import type { UserNamespaceMode } from '../runtime/testing/user-namespace-modes.ts';
import { TestHost, type TestRuntime } from '../testing/test-host.ts';
import { DEFAULT_PROFILE, PROFILE_TEXT, PROFILE_VERSION } from './default-profile.ts';
import { claimDefaultProfile, loadedProfiles, releaseDefaultProfile } from './kernel-policy.ts';
import { NOT_APPLICABLE, withProfile } from './testing/apparmor-here.ts';

const OWN = '/proc/self/attr/current';
const CONFINED = `${DEFAULT_PROFILE} (enforce)\n`;
const FAILED_PRECONDITION = 9;

type Spec = Parameters<typeof containerV1.ContainerSpec.fromPartial>[0];

/** The order to start a prepared container, its failure as the agent's answer. */
async function start(host: TestHost, record: containerV1.ContainerRecord) {
  return await host.scheduler.tryOrder({
    action: 2,
    record: { ...record, desired: containerV1.DesiredState.RUNNING, generation: record.generation + 1n },
  });
}

describe.skipIf(NOT_APPLICABLE === undefined)('a host whose kernel has no AppArmor', { timeout: 60_000 }, () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create();
  });
  afterAll(async () => {
    await host?.dispose();
  });

  test('says so, runs containers without, and starts none that names a profile', async () => {
    expect(host.scheduler.hello?.facts?.apparmor).toEqual({
      enabled: false,
      defaultProfile: '',
      missing: 'its kernel has no AppArmor, or it is off',
    });
    const { status } = await host.run(host.record(['true'], { security: { apparmorProfile: 'unconfined' } }));
    expect(status).toMatchObject({ exitCode: 0, apparmorProfile: '' });
    const record = host.record(['true'], { security: { apparmorProfile: 'web' } });
    await host.scheduler.tryOrder({ action: 1, record });
    expect(await start(host, record)).toMatchObject({
      code: FAILED_PRECONDITION,
      message: expect.stringMatching(/cannot have AppArmor profile "web": its kernel has no AppArmor/),
    });
  });
});

describe.each<[TestRuntime, UserNamespaceMode]>([
  ['native', 'without'],
  ['native', 'with'],
  ['runc', 'without'],
])('containers of %s, %s user namespaces, on a host with AppArmor', { timeout: 180_000 }, (runtime, userNamespaces) => {
  let host: TestHost;
  beforeAll(async () => {
    if (NOT_APPLICABLE === undefined) host = await TestHost.create({ runtime, userNamespaces });
  });
  afterAll(async () => {
    await host?.dispose();
    // Whoever else uses it has it still.
    if (NOT_APPLICABLE === undefined) {
      const users = await readdir('/run/atoll/.apparmor').catch(() => []);
      expect((await loadedProfiles()).has(DEFAULT_PROFILE)).toBe(users.length > 0);
    }
  });
  beforeEach(({ skip }) => skip(NOT_APPLICABLE !== undefined, NOT_APPLICABLE));

  const exec = async (id: string, more: { privileged?: boolean } = {}): Promise<string> =>
    (await host.exec(id, { argv: ['cat', OWN], ...more })).output;

  /** What the first process and two execs of a container are under, and what is told of it. */
  async function seen(spec: Spec): Promise<readonly string[]> {
    const record = host.record(['sh', '-c', `cat ${OWN}; exec sleep 600`], spec);
    await host.ensure(record);
    await host.start(record);
    await expect.poll(() => host.logs(record.id), { timeout: 20_000 }).not.toBe('');
    const result = [await host.logs(record.id), await exec(record.id), await exec(record.id, { privileged: true })];
    const status = await host.scheduler.status(({ id, pid }) => id === record.id && pid !== 0);
    await host.remove(record);
    return [...result, status.apparmorProfile];
  }

  test('are told of by the host', () => {
    expect(host.scheduler.hello?.facts?.apparmor).toEqual({
      enabled: true,
      defaultProfile: DEFAULT_PROFILE,
      missing: '',
    });
  });

  test.each<[string, Spec, string]>([
    ['by default', {}, DEFAULT_PROFILE],
    ['without new privileges', { security: { noNewPrivileges: true } }, DEFAULT_PROFILE],
    ['privileged', { usernsMode: 'host', security: { privileged: true } }, 'unconfined'],
    ['unconfined by wish', { security: { apparmorProfile: 'unconfined' } }, 'unconfined'],
    [
      'privileged, under a profile by wish',
      { usernsMode: 'host', security: { privileged: true, apparmorProfile: DEFAULT_PROFILE } },
      DEFAULT_PROFILE,
    ],
  ])('%s, and what is executed in them', async (_name, spec, profile) => {
    const current = profile === 'unconfined' ? 'unconfined\n' : `${profile} (enforce)\n`;
    expect(await seen(spec)).toEqual([current, current, current, profile]);
  });

  test('under a profile of the host, once it is loaded', async () => {
    const name = `${host.name}-web`;
    const record = host.record(['true'], { security: { apparmorProfile: name } });
    await host.ensure(record);
    expect(await start(host, record)).toMatchObject({
      code: FAILED_PRECONDITION,
      message: expect.stringMatching(
        new RegExp(`AppArmor profile "${name}" is not loaded on host \\S+: load it there`),
      ),
    });
    await withProfile(name, async () => {
      expect((await start(host, { ...record, generation: 5n })).code).toBe(0);
      const current = `${name} (enforce)\n`;
      expect(await seen({ security: { apparmorProfile: name } })).toEqual([current, current, current, name]);
    });
    await host.remove(record);
  });

  test('are under it still when the agent was killed', async () => {
    const record = host.record(['sleep', '600']);
    await host.ensure(record);
    const { pid } = await host.start(record);
    await host.killAgent();
    await host.startAgent();
    expect(await readFile(`/proc/${pid}/attr/apparmor/current`, 'utf8')).toBe(CONFINED);
    expect(await exec(record.id)).toBe(CONFINED);
    await host.killAgent('SIGTERM');
    expect(await readFile(`/proc/${pid}/attr/apparmor/current`, 'utf8')).toBe(CONFINED);
    await host.startAgent();
    await host.remove(record);
  });

  test('and so is RUN of a build', async () => {
    const channel = host.channelOf(await host.pki.identity('image-builder', 'builder-1'));
    const steps = channel.client(buildV1.BuildStepServiceService);
    let output = '';
    const request = { base: { layers: [host.layer] }, argv: ['cat', OWN], env: ['PATH=/bin'], networkMode: 'none' };
    for await (const { message } of steps.runStep(buildV1.RunStepRequest.fromPartial(request)))
      if (message?.$case === 'output') output += message.value.data.toString();
    expect(output).toBe(CONFINED);
  });
});

describe('the policy of a machine', { timeout: 60_000 }, () => {
  beforeEach(({ skip }) => skip(NOT_APPLICABLE !== undefined, NOT_APPLICABLE));

  test('is shared by its agents: the last one takes the profile away', async () => {
    const others = existsSync('/run/atoll/.apparmor') ? (await readdir('/run/atoll/.apparmor')).length : 0;
    const has = async (): Promise<boolean> => (await loadedProfiles()).has(DEFAULT_PROFILE);
    await Promise.all(['/one', '/other', '/one'].map((root) => claimDefaultProfile(`/nowhere${root}`)));
    expect(await has()).toBe(true);
    await releaseDefaultProfile('/nowhere/one');
    expect(await has()).toBe(true);
    await releaseDefaultProfile('/nowhere/other');
    expect(await has()).toBe(others > 0);
  });

  test('has the newest version of the profile that any of them knows', async ({ skip }) => {
    const users = await readdir('/run/atoll/.apparmor').catch(() => []);
    skip(users.length > 0, 'not applicable: others use the profile meanwhile');
    const load = (version: number): Promise<string> =>
      runTool('apparmor_parser', ['--replace', '--skip-cache'], {
        input: PROFILE_TEXT.replace(`version-${PROFILE_VERSION} `, `version-${version} `).replace(
          '  file,',
          `  file,\n  deny /nowhere/${version} w,`,
        ),
        timeoutMs: 60_000,
      });
    /** The kernel's digest of what is loaded. */
    const digest = async (): Promise<string> => {
      const folder = '/sys/kernel/security/apparmor/policy/profiles';
      const name = (await readdir(folder)).find((one) => one.startsWith(`${DEFAULT_PROFILE}.`)) ?? '';
      const file = (await readdir(join(folder, name))).find((one) => /^sha\d+$/.test(one)) ?? '';
      return await readFile(join(folder, name, file), 'utf8');
    };
    try {
      await load(0);
      const older = await digest();
      await claimDefaultProfile('/nowhere/one');
      const own = await digest();
      expect(own).not.toBe(older);
      await load(PROFILE_VERSION + 1);
      const newer = await digest();
      expect(newer).not.toBe(own);
      await claimDefaultProfile('/nowhere/other');
      expect(await digest()).toBe(newer);
    } finally {
      for (const root of ['/nowhere/one', '/nowhere/other']) await releaseDefaultProfile(root);
    }
    expect((await loadedProfiles()).has(DEFAULT_PROFILE)).toBe(false);
  });
});
