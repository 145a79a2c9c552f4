import { checkSysctls, signalNumber } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { ResolvedImage } from '../image/resolved-image.ts';
import { cgroupParentOf } from './cgroup-parent.ts';
import { constraintsOf } from './constraints.ts';
import { type CreateReferences, NO_REFERENCES } from './create-references.ts';
import type { CreateRequest } from './create-request.ts';
import { devicesOf } from './devices.ts';
import type { HostConfigRequest } from './host-config-request.ts';
import { mergeImage } from './image-merge.ts';
import { limitsOf } from './limits.ts';
import { logOf } from './log-config.ts';
import { mountsOf } from './mounts.ts';
import { checkNamespaceConflicts, namespacesOf } from './namespaces.ts';
import { networkOf } from './network-spec.ts';
import { restartPolicyOf } from './restart-policy.ts';
import { securityOf } from './security.ts';
import { storageOptionOf } from './storage-option.ts';

/** The spec a create request asks for, on an image. Pure. @throws invalid-argument or unimplemented naming the field */
export function createSpec(
  id: string,
  name: string,
  request: CreateRequest,
  resolved: ResolvedImage,
  references: CreateReferences = NO_REFERENCES,
): containerV1.ContainerSpec {
  const host: HostConfigRequest = request.HostConfig ?? {};
  const storage = storageOptionOf(host.StorageOpt ?? {});
  checkNamespaceConflicts(request);
  const merged = mergeImage(request, resolved.config.config ?? {});
  if (merged.entrypoint.length === 0 && merged.cmd.length === 0) throw invalidArgument('no command specified');
  const { constraints, env } = constraintsOf(request, merged.env);
  const network = networkOf(request, merged.exposedPorts, references.joined, references.networkName);
  if (network.hostname === '' && network.mode !== 'host') network.hostname = id.slice(0, 12);
  return containerV1.ContainerSpec.fromPartial({
    name,
    image: imageSource(request, resolved),
    process: {
      entrypoint: [...merged.entrypoint],
      cmd: [...merged.cmd],
      env: [...env],
      cwd: workingDirectory(merged.workingDir),
      user: merged.user,
      ...terminalOf(request),
    },
    resources: { ...limitsOf(host), ...devicesOf(host), storageLimit: storage.limit },
    storageOpt: storage.options,
    security: securityOf(host),
    network,
    mounts: mountsOf(host, merged.volumes, references),
    volumesFrom: [...(host.VolumesFrom ?? [])],
    cgroupParent: cgroupParentOf(host.CgroupParent ?? ''),
    restartPolicy: restartPolicyOf(host.RestartPolicy ?? {}, host.AutoRemove ?? false),
    autoRemove: host.AutoRemove ?? false,
    log: logOf(host),
    stopSignal: stopSignal(merged.stopSignal),
    ...(request.StopTimeout === undefined ? {} : { stopTimeout: BigInt(request.StopTimeout) }),
    labels: { ...merged.labels },
    shmSize: BigInt(shmSize(host)),
    sysctls: sysctlsOf(host),
    ulimits: (host.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({
      name: Name,
      soft: BigInt(Soft),
      hard: BigInt(Hard),
    })),
    init: host.Init ?? false,
    runtime: host.Runtime ?? '',
    ...(merged.healthcheck === undefined ? {} : { healthcheck: healthcheckOf(merged.healthcheck) }),
    annotations: annotationsOf(host.Annotations ?? {}),
    ...namespacesOf(host, references.joined),
    links: [...references.links],
    constraints: [...constraints],
    declaredVolumes: [...merged.volumes],
  });
}

function imageSource(request: CreateRequest, { image }: ResolvedImage): containerV1.ImageSource {
  const { id: imageId, manifestDigest, layers } = image;
  return { imageId, manifestDigest, reference: request.Image ?? '', layers };
}

function terminalOf(request: CreateRequest): Partial<containerV1.Process> {
  const [consoleHeight, consoleWidth] = request.HostConfig?.ConsoleSize ?? [0, 0];
  return {
    tty: request.Tty ?? false,
    openStdin: request.OpenStdin ?? false,
    stdinOnce: request.StdinOnce ?? false,
    attachStdin: request.AttachStdin ?? false,
    attachStdout: request.AttachStdout ?? false,
    attachStderr: request.AttachStderr ?? false,
    consoleHeight,
    consoleWidth,
  };
}

function workingDirectory(path: string): string {
  if (path === '' || path.startsWith('/')) return path;
  throw invalidArgument(`the working directory '${path}' is invalid, it needs to be an absolute path`);
}

function stopSignal(text: string): string {
  if (text === '' || signalNumber(text) !== undefined) return text;
  throw invalidArgument(`Invalid signal: ${text}`);
}

function shmSize(host: HostConfigRequest): number {
  if ((host.ShmSize ?? 0) < 0) throw invalidArgument('SHM size can not be less than 0');
  return host.ShmSize ?? 0;
}

function sysctlsOf(host: HostConfigRequest): Record<string, string> {
  const shared = (mode: string | undefined): boolean => mode === 'host' || mode?.startsWith('container:') === true;
  checkSysctls(host.Sysctls ?? {}, { network: !shared(host.NetworkMode), ipc: !shared(host.IpcMode) });
  return { ...host.Sysctls };
}

function annotationsOf(given: Readonly<Record<string, string>>): Record<string, string> {
  for (const name of Object.keys(given)) {
    if (name === '') {
      throw invalidArgument('invalid Annotations: the empty string is not permitted as an annotation key');
    }
    if (name.startsWith('atoll.')) throw invalidArgument(`invalid Annotations: "${name}": atoll.* is Atoll's own`);
  }
  return { ...given };
}

function healthcheckOf(check: NonNullable<ReturnType<typeof mergeImage>['healthcheck']>): containerV1.Healthcheck {
  const { interval, timeout, startPeriod, startInterval, retries } = check;
  for (const [name, value] of Object.entries({ interval, timeout, startPeriod, startInterval })) {
    if (value !== 0 && value < 1_000_000) throw invalidArgument(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if (retries < 0) throw invalidArgument('Retries in Healthcheck cannot be negative');
  return {
    test: [...check.test],
    interval: BigInt(interval),
    timeout: BigInt(timeout),
    startPeriod: BigInt(startPeriod),
    startInterval: BigInt(startInterval),
    retries: BigInt(retries),
  };
}
