import { reasonOf } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import type { HostConfigRequest } from './host-config-request.ts';
import { seccompProfile } from './seccomp-profile.ts';
import { securityOf } from './security.ts';

const ALLOW = { defaultAction: 'SCMP_ACT_ALLOW' };
const rule = (more: object): object => ({
  ...ALLOW,
  syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO', ...more }],
});

describe('security options', () => {
  test.each<[string, string[], object]>([
    ['the last one holds', ['seccomp=unconfined', 'seccomp=builtin'], { seccompUnconfined: false }],
    [
      'a profile',
      [`seccomp=${JSON.stringify(ALLOW)}`],
      { seccompUnconfined: false, seccompProfile: { defaultAction: 'SCMP_ACT_ALLOW' } },
    ],
    ['all of /proc', ['systempaths=unconfined'], { pathsGiven: true, maskedPaths: [], readonlyPaths: [] }],
    ['cgroups to write', ['writable-cgroups=true'], { writableCgroups: true }],
    ['what is off already', ['label=disable', 'label:disable'], { noNewPrivileges: false, apparmorProfile: '' }],
    ['no SELinux label', ['label:disable'], { selinux: { disable: true } }],
    [
      'the parts of an SELinux label',
      [
        'label=user:u',
        'label=role:r',
        'label:type:a_t',
        'label=type:b_t',
        'label=level:s0:c1,c2',
        'label=filetype:f_t',
      ],
      { selinux: { disable: false, user: 'u', role: 'r', type: 'b_t', level: 's0:c1,c2', fileType: 'f_t' } },
    ],
    ['an SELinux range', ['label=level:s0-s15:c0.c1023'], { selinux: { level: 's0-s15:c0.c1023' } }],
    ['no word about SELinux', [], { selinux: undefined }],
    ['no AppArmor profile', ['apparmor=unconfined'], { apparmorProfile: 'unconfined' }],
    ['an AppArmor profile', ['apparmor=/usr/bin/{a,b}//child'], { apparmorProfile: '/usr/bin/{a,b}//child' }],
    ['an AppArmor profile in the older form', ['apparmor:web'], { apparmorProfile: 'web' }],
    ['of two AppArmor profiles the last one', ['apparmor=web', 'apparmor=db'], { apparmorProfile: 'db' }],
  ])('%s', (_name, SecurityOpt, want) => {
    expect(securityOf({ SecurityOpt })).toMatchObject({ ...want, securityOpt: SecurityOpt });
  });

  test.each<[string, HostConfigRequest, string, string]>([
    [
      'an empty AppArmor profile',
      { SecurityOpt: ['apparmor='] },
      'invalid-argument',
      'invalid --security-opt 2: "apparmor="',
    ],
    ...['a b', 'a\nb', ' ', ':ns:web', '&web', 'web//&db', 'x'.repeat(256), 'ä'.repeat(128)].map(
      (name): [string, HostConfigRequest, string, string] => [
        `AppArmor profile ${JSON.stringify(name.slice(0, 16))}`,
        { SecurityOpt: [`apparmor=${name}`] },
        'invalid-argument',
        'wants unconfined or the name of one AppArmor profile',
      ],
    ),
    [
      'of an SELinux label an unknown part',
      { SecurityOpt: ['label=colour:red'] },
      'invalid-argument',
      '"label=colour:red": wants disable, user:USER',
    ],
    ['an SELinux label on its own', { SecurityOpt: ['label=enable'] }, 'invalid-argument', '"label=enable": wants'],
    ['an empty SELinux label', { SecurityOpt: ['label='] }, 'invalid-argument', 'invalid --security-opt 2: "label="'],
    ...['type:', 'type:a b', 'type:a:b', 'user:a,b', 'role:"x"', `type:${'x'.repeat(256)}`, 'filetype:-t'].map(
      (text): [string, HostConfigRequest, string, string] => [
        `SELinux label ${text.slice(0, 12)}`,
        { SecurityOpt: [`label=${text}`] },
        'invalid-argument',
        'of letters, digits, "_", "." and "-"',
      ],
    ),
    ...['', 'c1,c2', 's0:', 's0:c1,,c2', 's0:c1 ', 's0-', `s0:c1${',c2'.repeat(512)}`].map(
      (level): [string, HostConfigRequest, string, string] => [
        `SELinux level ${JSON.stringify(level.slice(0, 12))}`,
        { SecurityOpt: [`label=level:${level}`] },
        'invalid-argument',
        'wants a level of the form s0, s0:c1,c2 or s0-s0:c0.c1023',
      ],
    ),
    [
      'no SELinux label and a type',
      { SecurityOpt: ['label=type:web_t', 'label=disable'] },
      'invalid-argument',
      'label=disable and other label options exclude each other',
    ],
    ['no value', { SecurityOpt: ['seccomp'] }, 'invalid-argument', 'invalid --security-opt 2: "seccomp"'],
    ['an unknown value', { SecurityOpt: ['systempaths=all'] }, 'invalid-argument', 'invalid --security-opt 2'],
    [
      "the host's cgroups to write",
      { SecurityOpt: ['writable-cgroups'], CgroupnsMode: 'host' },
      'invalid-argument',
      'writable-cgroups is for',
    ],
    [
      'masks and none',
      { SecurityOpt: ['systempaths=unconfined'], MaskedPaths: ['/proc/keys'] },
      'invalid-argument',
      'exclude each other',
    ],
  ])('refused: %s', (_name, host, reason, message) => {
    expect(caught(() => securityOf(host))).toEqual([reason, expect.stringContaining(message)]);
  });
});

describe('seccomp profiles', () => {
  test('as they are on the wire', () => {
    const profile = seccompProfile(
      `{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
        "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]}],
        "syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","comment":"x",
          "args":[{"index":0,"value":18446744073709551615,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}],
          "includes":{"caps":["CAP_SYS_ADMIN"],"minKernel":"4.8"},"excludes":{"arches":["s390"]}},
         {"name":"old","action":"SCMP_ACT_ERRNO","errnoRet":0}]}`,
    );
    expect(profile).toMatchObject({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      i386: true,
      rules: [
        {
          names: ['clone'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: 18446744073709551615n, valueTwo: 1n, op: 'SCMP_CMP_MASKED_EQ' }],
          includes: { caps: ['CAP_SYS_ADMIN'], minKernel: '4.8' },
          excludes: { arches: ['s390'] },
        },
        { names: ['old'], errnoRet: 0 },
      ],
    });
  });

  test.each<[string, object, boolean]>([
    ['named', { ...ALLOW, architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'] }, true],
    ['not named', { ...ALLOW, architectures: ['SCMP_ARCH_X86_64'] }, false],
    [
      'of another machine',
      { ...ALLOW, archMap: [{ architecture: 'SCMP_ARCH_S390X', subArchitectures: ['SCMP_ARCH_X86'] }] },
      false,
    ],
  ])('programs of i386: %s', (_name, profile, want) => {
    expect(seccompProfile(JSON.stringify(profile)).i386).toBe(want);
  });

  test.each<[string, unknown, string, string]>([
    ['no JSON', 'nonsense', 'invalid-argument', 'decoding seccomp profile failed'],
    ['no object', '[]', 'invalid-argument', 'decoding seccomp profile failed'],
    ['no default action', {}, 'invalid-argument', 'defaultAction'],
    ['an unknown action', rule({ action: 'ALLOW' }), 'invalid-argument', 'syscalls.0.action'],
    ['no calls', rule({ names: [] }), 'invalid-argument', 'syscalls.0: names must have'],
    ['two ways to name calls', rule({ name: 'x' }), 'invalid-argument', 'use either of them'],
    [
      'an argument calls do not have',
      rule({ args: [{ index: 6, op: 'SCMP_CMP_EQ' }] }),
      'invalid-argument',
      'syscalls.0.args.0.index',
    ],
    ['an unknown comparison', rule({ args: [{ index: 0, op: '==' }] }), 'invalid-argument', 'syscalls.0.args.0.op'],
    [
      'a value of 65 bits',
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":18446744073709551616,"op":"SCMP_CMP_EQ"}]}]}',
      'invalid-argument',
      'syscalls.0.args.0.value: want a number from 0 to 18446744073709551615',
    ],
    ['an errno that is none', rule({ errnoRet: 70_000 }), 'invalid-argument', 'syscalls.0.errnoRet'],
    [
      'a kernel that is none',
      rule({ includes: { minKernel: 'new' } }),
      'invalid-argument',
      'want a version such as 4.8',
    ],
    ['an unknown field', { ...ALLOW, colour: 'red' }, 'invalid-argument', 'colour: unknown field'],
    [
      'two lists of architectures',
      { ...ALLOW, architectures: ['a'], archMap: [{ architecture: 'b' }] },
      'invalid-argument',
      "'architectures' and 'archMap'",
    ],
    ['a listener', { ...ALLOW, listenerPath: '/run/x' }, 'unimplemented', 'listenerPath'],
    ['notifications', { defaultAction: 'SCMP_ACT_NOTIFY' }, 'invalid-argument', 'defaultAction'],
    ['flags', { ...ALLOW, flags: ['SECCOMP_FILTER_FLAG_LOG'] }, 'unimplemented', 'flags'],
    [
      'too much',
      JSON.stringify({ ...ALLOW, syscalls: [{ names: ['x'.repeat(300_000)], action: 'SCMP_ACT_LOG' }] }),
      'invalid-argument',
      '262144 are taken',
    ],
  ])('refused: %s', (_name, profile, reason, message) => {
    const json = typeof profile === 'string' ? profile : JSON.stringify(profile);
    expect(caught(() => seccompProfile(json))).toEqual([reason, expect.stringContaining(message)]);
  });
});

function caught(body: () => unknown): [string, string] {
  try {
    body();
  } catch (error) {
    return [reasonOf(error), error instanceof Error ? error.message : ''];
  }
  throw new Error('nothing was refused');
}
