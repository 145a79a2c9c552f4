import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { syscallsInC } from '../../../native/oci/make-syscalls.ts';
import { NOT_APPLICABLE } from '../../apparmor/testing/apparmor-here.ts';
import { ociDefaultSeccomp } from '../oci/oci-seccomp.ts';
import { type OciConfig, OciHost } from '../testing/oci-host.ts';

let host: OciHost;
beforeAll(async () => {
  host = await OciHost.create('atoll-oci');
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

const linux = (changes: object) => (config: OciConfig) => void Object.assign(config.linux, changes);
const own = (changes: object) => (config: OciConfig) => void Object.assign(config, changes);
const ofProcess = (changes: object) => (config: OciConfig) => void Object.assign(config.process, changes);
const mount = (changes: object) => (config: OciConfig) =>
  void config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', ...changes });

describe('what is not supported is refused by its name', { timeout: 60_000 }, () => {
  test.each([
    ['windows', own({ windows: { layerFolders: ['x'] } }), 'config.json: windows is not supported'],
    ['a version', own({ ociVersion: '2.0' }), 'config.json: ociVersion must be a version 1.x'],
    ['no root', own({ root: undefined }), 'config.json: root is missing'],
    [
      'a user namespace',
      (config: OciConfig) => void config.linux.namespaces.push({ type: 'user' }),
      'linux.namespaces.user is not supported',
    ],
    [
      'a time namespace',
      (config: OciConfig) => void config.linux.namespaces.push({ type: 'time' }),
      'linux.namespaces.time is not supported',
    ],
    ['no mount namespace', linux({ namespaces: [{ type: 'pid' }] }), 'linux.namespaces.mount is missing'],
    ['id maps', linux({ uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] }), 'linux.uidMappings is not supported'],
    ['Intel RDT', linux({ intelRdt: { closID: 'a' } }), 'linux.intelRdt is not supported'],
    ['a group of systemd', linux({ cgroupsPath: 'system.slice:a:b' }), 'cgroupsPath is one of systemd'],
    ['a group by dots', linux({ cgroupsPath: '/a/../../b' }), 'cgroupsPath must be a plain path'],
    ['shared propagation', linux({ rootfsPropagation: 'shared' }), 'rootfsPropagation is supported by this runtime as'],
    [
      'huge pages',
      linux({ resources: { hugepageLimits: [{ pageSize: '2MB', limit: 1 }] } }),
      'resources.hugepageLimits is not supported',
    ],
    ['unified values', linux({ resources: { unified: { 'memory.high': '1' } } }), 'resources.unified is not supported'],
    [
      'a setting of the host',
      linux({ sysctl: { 'kernel.core_pattern': '/x' } }),
      'linux.sysctl.kernel.core_pattern is not of a namespace',
    ],
    [
      'a listener of system calls',
      linux({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/x' } }),
      'seccomp.listenerPath is not supported',
    ],
    [
      'an action of seccomp',
      linux({ seccomp: { defaultAction: 'SCMP_ACT_NOTIFY' } }),
      'default action that is unknown or not supported',
    ],
    [
      'an AppArmor profile that is not there',
      ofProcess({ apparmorProfile: 'atoll-test-none' }),
      NOT_APPLICABLE
        ? 'process.apparmorProfile cannot be had: this kernel has no AppArmor'
        : 'the AppArmor profile "atoll-test-none" is not loaded',
    ],
    ['an SELinux label that is none', ofProcess({ selinuxLabel: 'x' }), 'process.selinuxLabel cannot be had'],
    ['a label of mounts that is none', linux({ mountLabel: 'x' }), 'linux.mountLabel cannot be had'],
    ['a scheduler', ofProcess({ scheduler: { policy: 'SCHED_FIFO' } }), 'process.scheduler is not supported'],
    ['no arguments', ofProcess({ args: [] }), 'process.args must not be empty'],
    ['a relative folder', ofProcess({ cwd: 'x' }), 'process.cwd must be an absolute path'],
    [
      'a resource limit',
      ofProcess({ rlimits: [{ type: 'RLIMIT_NOPE', soft: 1, hard: 1 }] }),
      'process.rlimits needs a known type',
    ],
    ['a type of mount', mount({ type: 'ext9' }), 'mounts./m is of the type ext9, which is not supported'],
    [
      'an option of a mount',
      mount({ options: ['tmpcopyup'] }),
      'mounts./m has the option tmpcopyup, which is not supported',
    ],
    ['a relative hook', own({ hooks: { prestart: [{ path: 'x' }] } }), 'hooks.prestart needs an absolute path'],
  ] as [string, (config: OciConfig) => void, string][])('%s', async (_name, change, words) => {
    const bundle = await host.bundle(['true'], change);
    const id = host.newId();
    const { code, stderr } = host.run(['run', '--bundle', bundle, id]);
    expect(stderr).toContain(words);
    expect(code).toBe(1);
    expect(host.state(id)).toBeUndefined();
  });

  test.each([
    ['--systemd-cgroup', ['--systemd-cgroup', 'state', 'x']],
    ['--no-pivot', ['create', '--no-pivot', 'x']],
  ])('the option %s', (name, args) => {
    const { code, stderr } = host.run(args);
    expect(stderr).toContain(`${name} is not supported by this runtime`);
    expect(code).toBe(1);
  });

  test('what nobody knows is told of and not looked at, as the specification wants', async () => {
    const { code, stderr } = await host.outcome(['true'], own({ 'x-extension': { a: 1 } }));
    expect(stderr).toContain('x-extension is unknown');
    expect(code).toBe(0);
  });
});

describe('hooks', { timeout: 60_000 }, () => {
  const KINDS = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];

  async function withHooks(script: (kind: string) => string, kinds = KINDS) {
    const bundle = await host.bundle(['sh', '-c', 'echo program >>/out'], (config) => {
      const hook = (kind: string) => ({
        path: '/bin/sh',
        args: ['sh', '-c', script(kind)],
        env: ['PATH=/bin:/usr/bin', 'BUNDLE=@'],
      });
      config['hooks'] = Object.fromEntries(kinds.map((kind) => [kind, [hook(kind)]]));
    });
    const text = readFileSync(join(bundle, 'config.json'), 'utf8').replaceAll('BUNDLE=@', `BUNDLE=${bundle}`);
    writeFileSync(join(bundle, 'config.json'), text);
    return bundle;
  }

  test('run in their order, with the state, in their places', async () => {
    const write = (kind: string): string => {
      const place = kind === 'startContainer' ? '/out' : '$BUNDLE/rootfs/out';
      return `s=$(cat); case $s in *'"status": "'*) ;; *) exit 9;; esac; s=\${s#*'"status": "'}; echo ${kind} \${s%%'"'*} >>${place}`;
    };
    const bundle = await withHooks(write);
    const { code, stderr } = host.run(['run', '--bundle', bundle, host.newId()]);
    expect([code, stderr]).toEqual([0, '']);
    const lines = readFileSync(join(bundle, 'rootfs/out'), 'utf8').trim().split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'prestart creating',
      'createRuntime creating',
      'createContainer creating',
      'startContainer created',
    ]);
    expect(lines.slice(4, 6).sort()).toEqual(['poststart running', 'program']);
    expect(lines[6]).toBe('poststop stopped');
  });

  test.each(['prestart', 'createRuntime', 'createContainer', 'startContainer'])(
    '%s that fails: nothing runs, nothing is left',
    async (kind) => {
      const bundle = await withHooks(() => 'exit 3', [kind]);
      const id = host.newId();
      const { code, stderr } = host.run(['run', '--bundle', bundle, id]);
      expect(code).toBe(1);
      expect(stderr).toContain('hook /bin/sh ended with code 3');
      expect(host.state(id)).toBeUndefined();
      expect(host.leftovers()).toEqual([]);
    },
  );

  test.each(['poststart', 'poststop'])('%s that fails: a warning', async (kind) => {
    const bundle = await withHooks(() => 'exit 3', [kind]);
    const { code, stderr } = host.run(['run', '--bundle', bundle, host.newId()]);
    expect(code).toBe(0);
    expect(stderr).toContain('level=warning');
  });
});

describe('seccomp', { timeout: 60_000 }, () => {
  const profile = (seccomp: object) => linux({ seccomp });
  const allow = { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86_64'] };

  test.each([
    [
      'an error of its own',
      { ...allow, syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }] },
      'mkdir /d',
      /No space left/,
    ],
    [
      'EPERM unless told otherwise',
      { ...allow, syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }] },
      'mkdir /d',
      /not permitted/,
    ],
    [
      'only for an argument',
      {
        ...allow,
        syscalls: [
          {
            names: ['kill'],
            action: 'SCMP_ACT_ERRNO',
            errnoRet: 28,
            args: [{ index: 1, value: 10, op: 'SCMP_CMP_EQ' }],
          },
        ],
      },
      'trap : 12; kill -10 $$; kill -12 $$ && echo fine',
      /No space left[\s\S]*fine/,
    ],
    [
      'only for bits',
      {
        ...allow,
        syscalls: [
          {
            names: ['kill'],
            action: 'SCMP_ACT_ERRNO',
            errnoRet: 28,
            args: [{ index: 1, value: 8, valueTwo: 8, op: 'SCMP_CMP_MASKED_EQ' }],
          },
        ],
      },
      'trap : 1; kill -10 $$; kill -1 $$ && echo fine',
      /No space left[\s\S]*fine/,
    ],
    [
      'only above a value',
      {
        ...allow,
        syscalls: [
          {
            names: ['kill'],
            action: 'SCMP_ACT_ERRNO',
            errnoRet: 28,
            args: [{ index: 1, value: 11, op: 'SCMP_CMP_GT' }],
          },
        ],
      },
      'trap : 10; kill -12 $$; kill -10 $$ && echo fine',
      /No space left[\s\S]*fine/,
    ],
    [
      "docker's default",
      ociDefaultSeccomp(new Set()) as object,
      'mount -t tmpfs t /tmp; echo on',
      /(not permitted|denied)[\s\S]*on/,
    ],
  ] as [string, object, string, RegExp][])('%s', async (_name, seccomp, script, wanted) => {
    const { code, stdout, stderr } = await host.outcome(['sh', '-c', `(${script}) 2>&1; true`], profile(seccomp));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(wanted);
  });

  test('its table of calls is the one of the agent', () => {
    expect(readFileSync(join(import.meta.dirname, '../../../native/oci/syscalls.inc'), 'utf8')).toBe(syscallsInC());
  });
});

describe('what it is made of', { timeout: 60_000 }, () => {
  test('a namespace by its path, and the network of whoever made it', async () => {
    const name = `atoll-oci-${process.pid}`;
    execFileSync('ip', ['netns', 'add', name]);
    try {
      const { stdout } = await host.outcome(['stat', '-L', '-c', '%i', '/proc/self/ns/net'], (config) => {
        config.linux.namespaces = config.linux.namespaces.map((item) =>
          item.type === 'network' ? { ...item, path: `/run/netns/${name}` } : item,
        );
      });
      expect(stdout.trim()).toBe(
        execFileSync('stat', ['-L', '-c', '%i', `/run/netns/${name}`], { encoding: 'utf8' }).trim(),
      );
    } finally {
      execFileSync('ip', ['netns', 'del', name]);
    }
  });

  test('binds with their flags, below a read-only root', async () => {
    const source = join(host.folder, 'data');
    execFileSync('mkdir', ['-p', source]);
    chmodSync(source, 0o755);
    const { stdout } = await host.outcome(
      ['sh', '-c', '(touch /m/x; touch /w/y && echo written; touch /z) 2>&1'],
      (config) => {
        config.root['readonly'] = true;
        config.mounts.push(
          { destination: '/m', type: 'bind', source, options: ['rbind', 'ro'] },
          { destination: '/w', source, options: ['bind'] },
        );
      },
    );
    expect(stdout).toMatch(/\/m\/x: Read-only[\s\S]*written[\s\S]*\/z: Read-only/);
  });

  test('further descriptors, as many as are asked for', async () => {
    const bundle = await host.bundle(['sh', '-c', 'cat <&3; ls /proc/self/fd']);
    const id = host.newId();
    const script = `exec "$0" --root ${host.root} run --preserve-fds 1 --bundle ${bundle} ${id} 3<<X\nthird\nX`;
    const text = execFileSync('sh', ['-c', script, host.runtime], { encoding: 'utf8' });
    expect(text.split('\n').slice(0, 5)).toEqual(['third', '0', '1', '2', '3']);
  });
});
