import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NOT_APPLICABLE, withProfile } from '../../apparmor/testing/apparmor-here.ts';
import { type OciConfig, OciHost } from '../testing/oci-host.ts';

/** Profiles by our OCI command line beside Debian's runc: the same give the same. */
describe.each(['runc', 'atoll-oci'] as const)('AppArmor profiles by %s', { timeout: 120_000 }, (name) => {
  let host: OciHost;
  beforeAll(async () => {
    host = await OciHost.create(name);
  });
  afterAll(async () => {
    host.deleteAll();
    await host[Symbol.asyncDispose]();
  });

  const OWN = '/proc/self/attr/current';
  const withNames = (body: (one: string, other: string) => Promise<void>): Promise<void> => {
    const [one, other] = [`${host.cgroup.slice(1)}-one`, `${host.cgroup.slice(1)}-other`];
    return withProfile(one, () => withProfile(other, () => body(one, other)));
  };
  const confined =
    (apparmorProfile: string) =>
    (config: OciConfig): void =>
      void Object.assign(config.process, { apparmorProfile });

  describe('where the kernel has them', () => {
    beforeEach(({ skip }) => skip(NOT_APPLICABLE !== undefined, NOT_APPLICABLE));

    test('that of the process, with and without new privileges', async () => {
      await withNames(async (one) => {
        for (const noNewPrivileges of [true, false]) {
          const change = (config: OciConfig): void => {
            confined(one)(config);
            Object.assign(config.process, { noNewPrivileges });
          };
          expect((await host.outcome(['cat', OWN], change)).stdout).toBe(`${one} (enforce)\n`);
        }
      });
    });

    test("that of an exec: the container's, by option, by file", async () => {
      await withNames(async (one, other) => {
        const id = host.newId();
        const bundle = await host.bundle(['sleep', '600'], confined(one));
        expect(host.run(['run', '-d', '--bundle', bundle, id], { detached: true }).code).toBe(0);
        expect(host.run(['exec', id, 'cat', OWN]).stdout).toBe(`${one} (enforce)\n`);
        expect(host.run(['exec', '--apparmor', other, id, 'cat', OWN]).stdout).toBe(`${other} (enforce)\n`);
        const file = join(host.folder, 'process.json');
        const { process } = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8')) as OciConfig;
        for (const [apparmorProfile, want] of [
          [other, other],
          [undefined, name === 'runc' ? undefined : one],
        ]) {
          // What says nothing of it is unconfined by runc 1.1.
          const wanted = want === undefined ? 'unconfined\n' : `${want} (enforce)\n`;
          await writeFile(file, JSON.stringify({ ...process, args: ['cat', OWN], apparmorProfile }));
          expect(host.run(['exec', '--process', file, id]).stdout).toBe(wanted);
        }
        host.run(['delete', '--force', id]);
      });
    });

    test('one that is not loaded is an error, and nothing runs', async () => {
      const { code, stdout, stderr } = await host.outcome(['echo', 'runs'], confined('atoll-test-none'));
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        name === 'runc' ? /apply apparmor profile/ : /AppArmor profile .*atoll-test-none.* is not loaded/,
      );
    });

    test('hooks are not under it', async () => {
      await withNames(async (one) => {
        const told = join(host.folder, 'told');
        await mkdir(told, { recursive: true });
        const change = (config: OciConfig): void => {
          confined(one)(config);
          config['hooks'] = { createRuntime: [{ path: '/bin/cp', args: ['cp', OWN, join(told, 'hook')] }] };
          config.mounts.push({ destination: '/told', type: 'bind', source: told, options: ['bind'] });
        };
        const script = ['sh', '-c', `cat /told/hook ${OWN}`];
        expect((await host.outcome(script, change)).stdout).toBe(`unconfined\n${one} (enforce)\n`);
      });
    });
  });
});

test('features tell of profiles, and "unconfined" is for every kernel', async () => {
  await using host = await OciHost.create('atoll-oci');
  expect(JSON.parse(host.run(['features']).stdout)).toMatchObject({ linux: { apparmor: { enabled: true } } });
  const change = (config: OciConfig): void => void Object.assign(config.process, { apparmorProfile: 'unconfined' });
  expect((await host.outcome(['echo', 'runs'], change)).stdout).toBe('runs\n');
  host.deleteAll();
});

test.skipIf(NOT_APPLICABLE === undefined)('an exec with a profile on a kernel without', async () => {
  await using host = await OciHost.create('atoll-oci');
  const id = host.newId();
  const bundle = await host.bundle(['sleep', '600']);
  expect(host.run(['run', '-d', '--bundle', bundle, id], { detached: true }).code).toBe(0);
  expect(host.run(['exec', '--apparmor', 'web', id, 'true'])).toMatchObject({
    code: 255,
    stderr: expect.stringContaining('--apparmor web: this kernel has no AppArmor, or it is off'),
  });
  expect(host.run(['exec', '--apparmor', 'unconfined', id, 'true']).code).toBe(0);
  host.run(['delete', '--force', id]);
});
