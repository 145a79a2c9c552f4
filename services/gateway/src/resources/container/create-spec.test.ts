import { reasonOf } from '@atoll/errors';
import { type containerV1, imageV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { errorOfIssues } from '../../routing/zod-issues.ts';
import type { ImageDefaults } from '../image/resolved-image.ts';
import { CREATE_REQUEST } from './create-request.ts';
import { createSpec } from './create-spec.ts';

const ID = 'ab'.repeat(32);

function spec(body: object, image: ImageDefaults = { Cmd: ['sh'] }): containerV1.ContainerSpec {
  const given = { Image: 'busybox', ...body };
  const parsed = CREATE_REQUEST.safeParse(given);
  if (!parsed.success) throw errorOfIssues(parsed.error, given);
  return createSpec(ID, 'web', parsed.data, {
    image: imageV1.Image.fromPartial({ id: 'sha256:1' }),
    config: { config: image },
  });
}

describe('image defaults', () => {
  const image: ImageDefaults = {
    Entrypoint: ['/entry'],
    Cmd: ['default'],
    Env: ['PATH=/bin', 'A=1'],
    WorkingDir: '/srv',
    User: 'app',
    ExposedPorts: { '80/tcp': {} },
    Volumes: { '/data': {} },
    Labels: { a: 'image', b: 'image' },
    StopSignal: 'SIGINT',
  };
  test('are taken where nothing is given', () => {
    const made = spec({}, image);
    expect(made.process).toMatchObject({
      entrypoint: ['/entry'],
      cmd: ['default'],
      env: ['PATH=/bin', 'A=1'],
      cwd: '/srv',
      user: 'app',
    });
    expect(made).toMatchObject({
      stopSignal: 'SIGINT',
      labels: { a: 'image', b: 'image' },
      declaredVolumes: ['/data'],
    });
    expect(made.network?.exposedPorts).toEqual(['80/tcp']);
    expect(made.mounts).toMatchObject([{ type: 'volume', target: '/data', anonymous: true }]);
    expect(made.network?.hostname).toBe(ID.slice(0, 12));
  });
  test.each([
    ['an own command keeps the entrypoint', { Cmd: ['x'] }, ['/entry'], ['x']],
    ['an own entrypoint drops the command', { Entrypoint: ['/own'] }, ['/own'], []],
    ['an empty entrypoint is none', { Entrypoint: [''], Cmd: ['x'] }, [], ['x']],
    ['a text is a list of one', { Entrypoint: '/own', Cmd: 'x' }, ['/own'], ['x']],
    ['null is not given', { Entrypoint: null, Cmd: null }, ['/entry'], ['default']],
  ])('%s', (_name, body, entrypoint, cmd) => {
    expect(spec(body, image).process).toMatchObject({ entrypoint, cmd });
  });
  test('the user wins over the environment and labels of the image', () => {
    const made = spec({ Env: ['A=2', 'B=3', 'PATH'], Labels: { a: 'own' } }, image);
    expect(made.process?.env).toEqual(['A=2', 'B=3', 'PATH']);
    expect(made.labels).toEqual({ a: 'own', b: 'image' });
  });
  test('a mount covers a declared volume', () => {
    expect(spec({ HostConfig: { Binds: ['/host:/data/'] } }, image).mounts).toMatchObject([
      { type: 'bind', source: '/host', target: '/data', anonymous: false },
    ]);
  });
});

test('a MAC address has one spelling', () => {
  expect(spec({ MacAddress: '02-AA-bb-CC-dd-EE' }).network?.macAddress).toBe('02:aa:bb:cc:dd:ee');
});

test.each(['../../etc', '/../../etc', '/data/../../..', 'etc', '/', '//', ''])(
  'I17: the volume %j of an image is inside the container, or refused',
  (path) => {
    try {
      for (const { target } of spec({}, { Cmd: ['x'], Volumes: { [path]: {} } }).mounts) {
        expect(target).toMatch(/^\/[^/]/);
        expect(target.split('/')).not.toContain('..');
      }
    } catch (error) {
      expect(reasonOf(error)).toBe('invalid-argument');
    }
  },
);

describe('what a request asks for', () => {
  test.each<[string, object, object]>([
    [
      'memory and CPUs',
      { Memory: 7_000_000, NanoCpus: 1_500_000_000 },
      { resources: { memory: 7_000_000n, nanoCpus: 1_500_000_000n } },
    ],
    ['unlimited pids', { PidsLimit: -5 }, { resources: { pidsLimit: -1n } }],
    [
      'restart',
      { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 } },
      { restartPolicy: { name: 'on-failure', maximumRetryCount: 3 } },
    ],
    [
      'capabilities in any spelling',
      { CapAdd: ['net_admin', 'CAP_SYS_TIME', 'all'] },
      { security: { capAdd: ['CAP_NET_ADMIN', 'CAP_SYS_TIME', 'ALL'] } },
    ],
    [
      'security options',
      { SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'] },
      { security: { noNewPrivileges: true, seccompUnconfined: true } },
    ],
    ['empty masks are a choice', { MaskedPaths: [] }, { security: { pathsGiven: true, maskedPaths: [] } }],
    ['tmpfs', { Tmpfs: { '/run': 'size=64m' } }, { mounts: [{ type: 'tmpfs', target: '/run', options: 'size=64m' }] }],
    [
      'a read-only bind',
      { Binds: ['/a:/b:ro,rslave'] },
      { mounts: [{ type: 'bind', source: '/a', readOnly: true, propagation: 'rslave' }] },
    ],
    ['a bind with the label of all', { Binds: ['/a:/b:z'] }, { mounts: [{ type: 'bind', relabel: 'shared' }] }],
    [
      'a volume with a label of its own',
      { Binds: ['data:/b:ro,Z'] },
      { mounts: [{ readOnly: true, relabel: 'private' }] },
    ],
    ['a named volume', { Binds: ['data:/b:nocopy'] }, { mounts: [{ type: 'volume', source: 'data', noCopy: true }] }],
    [
      'a mount',
      { Mounts: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1024, Mode: 448 } }] },
      { mounts: [{ type: 'tmpfs', tmpfsSize: 1024n, tmpfsMode: 448 }] },
    ],
    [
      'ulimits',
      { Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }] },
      { ulimits: [{ name: 'nofile', soft: 10n, hard: 20n }] },
    ],
    [
      'log options',
      { LogConfig: { Type: '', Config: { 'max-size': '10m' } } },
      { log: { type: 'json-file', config: { 'max-size': '10m' } } },
    ],
    [
      'attributes of the log',
      { LogConfig: { Config: { labels: 'a,b', 'env-regex': '^A', tag: '{{.Name}}', compress: 'false' } } },
      { log: { config: { labels: 'a,b', 'env-regex': '^A', tag: '{{.Name}}', compress: 'false' } } },
    ],
    [
      'settings of its own namespaces',
      { Sysctls: { 'net.core.somaxconn': '5', 'fs.mqueue.msg_max': '5' } },
      { sysctls: { 'net.core.somaxconn': '5' } },
    ],
    [
      'a mode of the log',
      { LogConfig: { Type: 'json-file', Config: { mode: 'non-blocking' } } },
      { log: { type: 'json-file', config: { mode: 'non-blocking' } } },
    ],
    [
      'a limit of storage',
      { StorageOpt: { size: '10G' } },
      { storageOpt: { size: '10G' }, resources: expect.objectContaining({ storageLimit: 10n << 30n }) },
    ],
    ['a parent group', { CgroupParent: '/team//build/' }, { cgroupParent: 'team/build' }],
    ['annotations', { Annotations: { 'com.example.a': 'b' } }, { annotations: { 'com.example.a': 'b' } }],
    ['the console size', { ConsoleSize: [24, 80] }, { process: { consoleHeight: 24, consoleWidth: 80 } }],
    [
      'host network',
      { NetworkMode: 'host', PortBindings: { '80/tcp': [{ HostPort: '80' }] } },
      { network: { mode: 'host', ports: [] } },
    ],
  ])('%s', (_name, HostConfig, want) => {
    expect(spec({ HostConfig })).toMatchObject(want);
  });
  test('ports', () => {
    const PortBindings = { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }, { HostPort: '' }], '53/udp': null };
    const made = spec({ ExposedPorts: { '81': {} }, HostConfig: { PortBindings } });
    expect(made.network?.ports).toMatchObject([
      { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 8080, hostOnly: false },
      { containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 0, hostPortEnd: 0 },
    ]);
    expect(made.network?.exposedPorts).toEqual(['53/udp', '80/tcp', '81/tcp']);
  });
  test('a range of host ports, sctp, and the publish mode of the label', () => {
    const PortBindings = { '80/sctp': [{ HostPort: '8000-8002' }], '81/tcp': [{ HostPort: '81-81' }] };
    const made = spec({ Labels: { 'atoll.publish': 'host' }, HostConfig: { PortBindings } });
    expect(made.network?.ports).toMatchObject([
      { containerPort: 80, protocol: 'sctp', hostPort: 8000, hostPortEnd: 8002, hostOnly: true },
      { containerPort: 81, protocol: 'tcp', hostPort: 81, hostPortEnd: 0, hostOnly: true },
    ]);
  });
  test('an image that says where its ports are published is not heard', () => {
    const PortBindings = { '80/tcp': [{ HostPort: '80' }] };
    const made = spec({ HostConfig: { PortBindings } }, { Cmd: ['sh'], Labels: { 'atoll.publish': 'host' } });
    expect(made.network?.ports[0]?.hostOnly).toBe(false);
  });
  test('a service by its label; what an image says is not heard', () => {
    const image = { Cmd: ['sh'], Labels: { 'atoll.service': 'web' } };
    expect(spec({ Labels: { 'atoll.service': 'a-1' } }, image).network?.serviceName).toBe('a-1');
    expect(spec({}, image).network?.serviceName).toBe('');
  });
  test('constraints of the label and of Swarm classic', () => {
    const made = spec({
      Labels: { 'atoll.constraints': 'node.hostname==h2, node.labels.disk!=hdd' },
      Env: ['constraint:node==h1', 'constraint:storage!=ssd', 'A=1'],
    });
    expect(made.constraints).toEqual([
      'node.hostname==h2',
      'node.labels.disk!=hdd',
      'node.hostname==h1',
      'node.labels.storage!=ssd',
    ]);
    expect(made.process?.env).toEqual(['A=1']);
  });
  test('E36: constraints of an image are labels and variables like any other', () => {
    const made = spec(
      {},
      {
        Cmd: ['x'],
        Labels: { 'atoll.constraints': 'node.hostname==h2' },
        Env: ['constraint:node==h1'],
      },
    );
    expect(made.constraints).toEqual([]);
    expect(made.labels).toEqual({ 'atoll.constraints': 'node.hostname==h2' });
    expect(made.process?.env).toEqual(['constraint:node==h1']);
  });
  test('what Go clients send for fields nobody set is no request', () => {
    const HostConfig = {
      Devices: [], DeviceRequests: null, Links: null, VolumesFrom: null, StorageOpt: {}, KernelMemory: 0, Isolation: '',
      BlkioWeightDevice: [], CgroupParent: '', MemorySwappiness: -1, OomKillDisable: false, Future: null,
    }; // biome-ignore format: a list
    expect(spec({ HostConfig, MacAddress: '', OnBuild: null, NetworkingConfig: { EndpointsConfig: {} } }).name).toBe(
      'web',
    );
  });
});

describe('refusals name the field', () => {
  test.each<[string, object, string, string]>([
    ['1 byte of memory', { HostConfig: { Memory: 1 } }, 'invalid-argument', 'Minimum memory limit allowed is 6MB'],
    [
      'swap below memory',
      { HostConfig: { Memory: 9e6, MemorySwap: 8e6 } },
      'invalid-argument',
      'Minimum memoryswap limit',
    ],
    ['two CPU limits', { HostConfig: { NanoCpus: 1, CpuQuota: 5000 } }, 'invalid-argument', 'Nano CPUs and CPU Quota'],
    ['memory as a text', { HostConfig: { Memory: '1g' } }, 'invalid-argument', 'HostConfig.Memory'],
    ['half a byte', { HostConfig: { Memory: 1.5 } }, 'invalid-argument', 'HostConfig.Memory'],
    [
      'GPUs',
      { HostConfig: { DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] } },
      'unimplemented',
      'could not select device driver "" with capabilities: [[gpu]]',
    ],
    [
      'a field of the future',
      { HostConfig: { Teleport: true } },
      'invalid-argument',
      'HostConfig.Teleport: unknown field',
    ],
    ['an unknown field at the top', { Memory: 5 }, 'invalid-argument', 'Memory: unknown field'],
    [
      'an unknown restart policy',
      { HostConfig: { RestartPolicy: { Name: 'often' } } },
      'invalid-argument',
      "unknown policy 'often'",
    ],
    [
      'retries of always',
      { HostConfig: { RestartPolicy: { Name: 'always', MaximumRetryCount: 2 } } },
      'invalid-argument',
      "only be used with 'on-failure'",
    ],
    [
      '--rm and restart',
      { HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } } },
      'invalid-argument',
      "can't create 'AutoRemove'",
    ],
    ['a seccomp profile', { HostConfig: { SecurityOpt: ['seccomp={}'] } }, 'invalid-argument', 'defaultAction'],
    ['an unknown security option', { HostConfig: { SecurityOpt: ['magic=1'] } }, 'invalid-argument', '--security-opt'],
    ['an unknown capability', { HostConfig: { CapDrop: ['FLY'] } }, 'invalid-argument', 'invalid CapDrop'],
    ['an unknown IPC mode', { HostConfig: { IpcMode: 'mine' } }, 'invalid-argument', 'Invalid IPC mode: mine'],
    [
      "a hostname in the host's UTS namespace",
      { Hostname: 'x', HostConfig: { UTSMode: 'host' } },
      'invalid-argument',
      'conflicting options: hostname and the UTS mode',
    ],
    ...[
      [{ Hostname: 'x' }, {}, 'hostname and the network mode'],
      [{}, { Links: ['a:b'] }, "container type network can't be used with links"],
      [{}, { Dns: ['192.0.2.1'] }, 'dns and the network mode'],
      [{}, { ExtraHosts: ['a:192.0.2.1'] }, 'custom host-to-IP mapping and the network mode'],
      [{ MacAddress: '02:00:00:00:00:01' }, {}, 'mac-address and the network mode'],
      [{}, { PortBindings: { '80/tcp': null } }, 'port publishing and the container type network mode'],
      [{}, { PublishAllPorts: true }, 'port publishing and the container type network mode'],
      [{ ExposedPorts: { '80/tcp': {} } }, {}, 'port exposing and the container type network mode'],
    ].map(([body, host, message]): [string, object, string, string] => [
      `in another's network: ${String(message)}`,
      { ...(body as object), HostConfig: { NetworkMode: 'container:x', ...(host as object) } },
      'invalid-argument',
      `conflicting options: ${String(message)}`,
    ]),
    ...['90-80', '0-80', '80-', '80-70000', '80-90-99'].map((HostPort): [string, object, string, string] => [
      `a range of host ports that is none: ${HostPort}`,
      { HostConfig: { PortBindings: { '80/tcp': [{ HostPort }] } } },
      'invalid-argument',
      `invalid value for HostConfig.PortBindings: invalid port specification: "${HostPort}"`,
    ]),
    [
      'an address that is none',
      { HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '10.0.0.256' }] } } },
      'invalid-argument',
      'invalid IP address "10.0.0.256"',
    ],
    [
      'a publish mode that is none',
      { Labels: { 'atoll.publish': 'node' } },
      'invalid-argument',
      'invalid value for label atoll.publish: "node", want ingress or host',
    ],
    ...['', 'Web', 'a.b', '-a', 'a-', 'a_b', 'a'.repeat(64)].map((name): [string, object, string, string] => [
      `a service named ${JSON.stringify(name)}`,
      { Labels: { 'atoll.service': name } },
      'invalid-argument',
      `invalid value for label atoll.service: ${JSON.stringify(name)}, want 1 to 63`,
    ]),
    ...['host', 'none'].map((mode): [string, object, string, string] => [
      `a service of a container with network mode ${mode}`,
      { Labels: { 'atoll.service': 'web' }, HostConfig: { NetworkMode: mode } },
      'invalid-argument',
      `label atoll.service: with network mode ${mode}`,
    ]),
    [
      'a port that is none',
      { HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '99999' }] } } },
      'invalid-argument',
      'PortBindings',
    ],
    [
      'a log driver',
      { HostConfig: { LogConfig: { Type: 'syslog' } } },
      'invalid-argument',
      "no log driver named 'syslog'",
    ],
    [
      'a log option',
      { HostConfig: { LogConfig: { Type: 'json-file', Config: { color: 'x' } } } },
      'invalid-argument',
      "unknown log opt 'color'",
    ],
    [
      'attributes in a log of docker that has none',
      { HostConfig: { LogConfig: { Type: 'local', Config: { tag: 'x' } } } },
      'invalid-argument',
      "unknown log opt 'tag' for local",
    ],
    [
      'a tag with a function',
      { HostConfig: { LogConfig: { Config: { tag: '{{upper .Name}}' } } } },
      'invalid-argument',
      "invalid value for log opt 'tag'",
    ],
    [
      'a pattern that may take for ever',
      { HostConfig: { LogConfig: { Config: { 'env-regex': '(a)\\1' } } } },
      'invalid-argument',
      "invalid value for log opt 'env-regex'",
    ],
    [
      'a pattern that only Go has',
      { HostConfig: { LogConfig: { Config: { 'labels-regex': '[[:alpha:]]' } } } },
      'invalid-argument',
      "invalid value for log opt 'labels-regex'",
    ],
    [
      'a compressed log',
      { HostConfig: { LogConfig: { Type: 'local', Config: { compress: 'true' } } } },
      'unimplemented',
      "log opt 'compress' is not built",
    ],
    [
      'a setting of the kernel',
      { HostConfig: { Sysctls: { 'kernel.core_pattern': 'x' } } },
      'invalid-argument',
      'HostConfig.Sysctls',
    ],
    [
      'two settings in one',
      { HostConfig: { Sysctls: { 'kernel.sem': '1\nkernel.core_pattern=x' } } },
      'invalid-argument',
      'one line',
    ],
    [
      "a setting of the host's network",
      { HostConfig: { NetworkMode: 'host', Sysctls: { 'net.core.somaxconn': '5' } } },
      'invalid-argument',
      "'net.core.somaxconn' is not allowed",
    ],
    [
      "a setting of another's ipc",
      { HostConfig: { IpcMode: 'host', Sysctls: { 'kernel.sem': '5' } } },
      'invalid-argument',
      "'kernel.sem' is not allowed",
    ],
    [
      'options of a volume driver',
      {
        HostConfig: {
          Mounts: [
            {
              Type: 'volume',
              Source: 'a',
              Target: '/a',
              VolumeOptions: { DriverConfig: { Options: { size: '1m' } } },
            },
          ],
        },
      },
      'invalid-argument',
      'invalid option: "size"',
    ],
    ['a relative mount', { HostConfig: { Binds: ['/a:b'] } }, 'invalid-argument', 'mount path must be absolute'],
    ['a mount on the root', { HostConfig: { Binds: ['/a:/'] } }, 'invalid-argument', "destination can't be '/'"],
    [
      'two mounts at one place',
      { HostConfig: { Binds: ['/a:/x', '/b:/x/'] } },
      'invalid-argument',
      'Duplicate mount point: /x',
    ],
    ['two labels of a bind', { HostConfig: { Binds: ['/a:/x:z,Z'] } }, 'invalid-argument', 'invalid mode: z,Z'],
    ['a bind option', { HostConfig: { Binds: ['/a:/x:fast'] } }, 'invalid-argument', 'invalid mode: fast'],
    [
      'a limit of storage that is no size',
      { HostConfig: { StorageOpt: { size: 'ten' } } },
      'invalid-argument',
      'HostConfig.StorageOpt: invalid size "ten": want 1 to',
    ],
    [
      'another storage option',
      { HostConfig: { StorageOpt: { speed: '1' } } },
      'invalid-argument',
      'HostConfig.StorageOpt: unknown option speed',
    ],
    ['a parent group above', { HostConfig: { CgroupParent: '../x' } }, 'invalid-argument', 'HostConfig.CgroupParent'],
    [
      'a parent group like a container',
      { HostConfig: { CgroupParent: ID } },
      'invalid-argument',
      'HostConfig.CgroupParent',
    ],
    [
      'a parent group too deep',
      { HostConfig: { CgroupParent: 'a/'.repeat(9) } },
      'invalid-argument',
      'at most 8 names',
    ],
    [
      'an annotation without a name',
      { HostConfig: { Annotations: { '': 'x' } } },
      'invalid-argument',
      'annotation key',
    ],
    ["an annotation of Atoll's", { HostConfig: { Annotations: { 'atoll.x': 'y' } } }, 'invalid-argument', 'atoll.x'],
    [
      'a mode of the log',
      { HostConfig: { LogConfig: { Type: 'local', Config: { mode: 'fast' } } } },
      'invalid-argument',
      `invalid value for log opt 'mode': "fast"`,
    ],
    [
      'a buffer of the log',
      { HostConfig: { LogConfig: { Config: { mode: 'non-blocking', 'max-buffer-size': '4m' } } } },
      'invalid-argument',
      'max-buffer-size',
    ],
    [
      'a MAC address that is none',
      { MacAddress: '02:42:zz:11:00:02' },
      'invalid-argument',
      'MacAddress: address 02:42:zz',
    ],
    ['the MAC address of a group', { MacAddress: '01:42:ac:11:00:02' }, 'invalid-argument', 'MacAddress'],
    ['a relative working directory', { WorkingDir: 'a' }, 'invalid-argument', 'absolute path'],
    ['a stop signal', { StopSignal: 'SIGFOO' }, 'invalid-argument', 'Invalid signal: SIGFOO'],
    ['a soft constraint', { Env: ['constraint:node==~h1'] }, 'invalid-argument', 'soft constraints'],
    ['a malformed constraint', { Labels: { 'atoll.constraints': 'h1' } }, 'invalid-argument', 'atoll.constraints'],
    [
      'a short health interval',
      { Healthcheck: { Test: ['CMD', 'x'], Interval: 5 } },
      'invalid-argument',
      'interval in Healthcheck',
    ],
  ])('%s', (_name, body, reason, message) => {
    let error: unknown;
    try {
      spec(body);
    } catch (thrown) {
      error = thrown;
    }
    expect(reasonOf(error)).toBe(reason);
    expect((error as Error).message).toContain(message);
  });
  test('an image without a command', () => {
    expect(() => spec({}, {})).toThrow('no command specified');
  });
});
