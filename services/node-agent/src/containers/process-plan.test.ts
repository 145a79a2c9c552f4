import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import type { AppArmor } from '../apparmor/apparmor.ts';
import { dockerSeccompProgram } from '../runtime/seccomp/docker-seccomp.ts';
import { ARCHITECTURE, judge, numberOf } from '../runtime/testing/judge-seccomp.ts';
import { TEST_IDS } from '../runtime/testing/user-namespace-modes.ts';
import type { PlanHost } from './container-plan.ts';
import { containerPlanProcess } from './process-plan.ts';

type Spec = Parameters<typeof containerV1.ContainerSpec.fromPartial>[0];

const FSSETXATTR = 0x401c5820;
const resources = { storageLimit: 1n << 30n };
const profile = { defaultAction: 'SCMP_ACT_ALLOW', rules: [] };

describe('the guard of files in their project', () => {
  test.each<[string, Spec, boolean, string | undefined]>([
    ['a container with a limit', { resources }, false, 'EPERM'],
    ['one without', {}, false, 'allow'],
    ['a limit with seccomp=unconfined', { resources, security: { seccompUnconfined: true } }, false, 'EPERM'],
    ["a limit with a profile of the user's own", { resources, security: { seccompProfile: profile } }, false, 'EPERM'],
    ['no limit and no program', { security: { seccompUnconfined: true } }, false, undefined],
    ['a privileged one', { resources, security: { privileged: true } }, false, undefined],
    ['in a user namespace, where the kernel refuses', { resources }, true, 'allow'],
    ['of another runtime', { resources, runtime: 'runc' }, false, 'EPERM'],
    ['of another runtime, which installs its own program', { runtime: 'runc' }, false, undefined],
    ["with the host's users where others are remapped", { resources, usernsMode: 'host' }, true, 'EPERM'],
  ])('%s', (_name, spec, remaps, wanted) => {
    const host: Partial<PlanHost> = {
      capabilities: 0n,
      remap: remaps ? TEST_IDS : undefined,
      find: () => undefined,
      seccomp: dockerSeccompProgram,
      apparmor: { profileOf: () => undefined } as Partial<AppArmor> as AppArmor,
    };
    const made = containerV1.ContainerSpec.fromPartial({ process: { cmd: ['true'] }, ...spec });
    const { seccomp } = containerPlanProcess(made, 'box', host as PlanHost);
    const said = seccomp && judge(seccomp, ARCHITECTURE.x86_64, numberOf('x86_64', 'ioctl'), [3, FSSETXATTR]);
    expect(said).toBe(wanted);
  });
});
