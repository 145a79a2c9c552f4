import { macBytes, writeEndpoints } from './endpoints-plan.ts';
import { ociJson } from './oci/oci-json.ts';
import { ociResources } from './oci/oci-resources.ts';
import type {
  ContainerPlan,
  DeviceRule,
  ExecPlan,
  MountPlan,
  NamespaceMode,
  NetworkPlan,
  ProcessPlan,
  ResourceLimits,
  RootPlan,
  UserNamespacePlan,
} from './plan.ts';
import {
  BLKIO_KIND,
  LIMIT_KIND,
  LIMIT_TEXT_KIND,
  MOUNT_ATTR,
  MOUNT_KIND,
  NAMESPACE_KIND,
  NAMESPACE_MODE,
  PLAN_MAGIC,
  PLAN_TAG,
  PLAN_VERSION,
  PROPAGATION,
  REACH,
  RELABEL,
  RLIMIT_NUMBER,
  STDIN_MODE,
} from './plan-tags.ts';
import { PlanWriter } from './plan-writer.ts';

/** The bytes of `<bundle>/plan`. Throws RangeError for values that have no wire form. */
export function encodeContainerPlan(plan: ContainerPlan): Buffer {
  return seal((writer) => {
    text(writer, PLAN_TAG.id, plan.id);
    writeProcess(writer, plan.process);
    writeNamespaces(writer, plan.namespaces);
    if (plan.userNamespace !== undefined) writeUserNamespace(writer, plan.userNamespace);
    if (plan.hostname !== undefined) text(writer, PLAN_TAG.hostname, plan.hostname);
    if (plan.domainname !== undefined) text(writer, PLAN_TAG.domainname, plan.domainname);
    writeRoot(writer, plan.root);
    if (plan.mountLabel !== undefined) text(writer, PLAN_TAG.mountLabel, plan.mountLabel);
    if (plan.layerLabel !== undefined) text(writer, PLAN_TAG.layerLabel, plan.layerLabel);
    for (const mount of plan.mounts) writeMount(writer, mount);
    for (const node of plan.devices) {
      writer.record(PLAN_TAG.device, (w) => {
        w.text(node.path);
        w.u8(node.type.charCodeAt(0));
        for (const value of [node.major, node.minor, node.mode, node.uid, node.gid]) w.u32(value);
      });
    }
    for (const link of plan.devLinks) {
      writer.record(PLAN_TAG.link, (w) => {
        w.text(link.path);
        w.text(link.target);
      });
    }
    for (const path of plan.readonlyPaths) text(writer, PLAN_TAG.readonlyPath, path);
    for (const path of plan.maskedPaths) text(writer, PLAN_TAG.mask, path);
    for (const [key, value] of Object.entries(plan.sysctls)) {
      writer.record(PLAN_TAG.sysctl, (w) => {
        w.text(key);
        w.text(value);
      });
    }
    text(writer, PLAN_TAG.cgroup, plan.cgroup.path);
    writeLimits(writer, plan.cgroup.limits);
    for (const rule of plan.cgroup.deviceRules) writeDeviceRule(writer, rule);
    if (plan.network !== undefined) writeNetwork(writer, plan.network);
    if (plan.endpoints !== undefined) writeEndpoints(writer, plan.endpoints);
    if (plan.api !== undefined) text(writer, PLAN_TAG.api, plan.api);
    writer.record(PLAN_TAG.log, (w) => {
      w.u64(plan.log.maxBytes);
      w.u32(plan.log.maxFiles);
      w.text(plan.log.directory);
    });
    if (plan.runtime !== undefined) text(writer, PLAN_TAG.runtime, plan.runtime);
  });
}

/** The payload of the PLAN frame of an exec. */
export function encodeExecPlan(plan: ExecPlan): Buffer {
  return seal((writer) => {
    text(writer, PLAN_TAG.id, plan.id);
    writeProcess(writer, plan.process);
    writer.record(PLAN_TAG.target, (w) => {
      w.u32(plan.target.pid);
      w.u64(plan.target.startTicks);
    });
    text(writer, PLAN_TAG.cgroup, plan.cgroupPath);
    const { runtime } = plan;
    if (runtime === undefined) return;
    text(writer, PLAN_TAG.runtime, runtime.path);
    writer.record(PLAN_TAG.runtimeExec, (w) => {
      w.text(runtime.bundle);
      w.text(runtime.container);
      w.text(runtime.process);
    });
  });
}

/** The payload of an UPDATE frame: the limit records of a plan, without its header, and the same in OCI's form. */
export function encodeLimits(limits: ResourceLimits): Buffer {
  const writer = new PlanWriter();
  writeLimits(writer, limits);
  text(writer, PLAN_TAG.runtimeResources, ociJson(ociResources(limits)));
  return writer.take();
}

function seal(body: (writer: PlanWriter) => void): Buffer {
  const writer = new PlanWriter();
  writer.u32(PLAN_MAGIC);
  writer.u32(PLAN_VERSION);
  writer.u32(0);
  body(writer);
  const bytes = writer.take();
  bytes.writeUInt32LE(bytes.length, 8);
  return bytes;
}

function text(writer: PlanWriter, tag: number, value: string): void {
  writer.record(tag, (w) => w.text(value));
}

function writeProcess(writer: PlanWriter, process: ProcessPlan): void {
  for (const arg of process.argv) text(writer, PLAN_TAG.arg, arg);
  for (const item of process.env) text(writer, PLAN_TAG.env, item);
  text(writer, PLAN_TAG.cwd, process.cwd);
  const user = process.user;
  if (user.kind === 'docker') {
    text(writer, PLAN_TAG.user, user.user);
    for (const group of user.additionalGroups ?? []) text(writer, PLAN_TAG.groupName, group);
  } else {
    writer.record(PLAN_TAG.ids, (w) => {
      w.u32(user.uid);
      w.u32(user.gid);
    });
    for (const group of user.groups ?? []) writer.record(PLAN_TAG.group, (w) => w.u32(group));
  }
  const tty = process.tty;
  if (tty !== undefined) {
    writer.record(PLAN_TAG.tty, (w) => {
      w.u16(tty.rows);
      w.u16(tty.cols);
    });
  }
  writer.record(PLAN_TAG.stdin, (w) => w.u8(STDIN_MODE[process.stdin]));
  for (const limit of process.rlimits) {
    writer.record(PLAN_TAG.rlimit, (w) => {
      w.u32(RLIMIT_NUMBER[limit.name]);
      w.u64(limit.soft);
      w.u64(limit.hard);
    });
  }
  const caps = process.capabilities;
  writer.record(PLAN_TAG.caps, (w) => {
    for (const set of [caps.bounding, caps.permitted, caps.effective, caps.inheritable, caps.ambient]) w.u64(set);
  });
  writer.record(PLAN_TAG.noNewPrivileges, (w) => w.u8(process.noNewPrivileges ? 1 : 0));
  const seccomp = process.seccomp;
  if (seccomp !== undefined) writer.record(PLAN_TAG.seccomp, (w) => w.bytes(seccomp));
  if (process.apparmor !== undefined) text(writer, PLAN_TAG.apparmor, process.apparmor);
  if (process.selinux !== undefined) text(writer, PLAN_TAG.selinux, process.selinux);
  const score = process.oomScoreAdj;
  if (score !== undefined) writer.record(PLAN_TAG.oomScoreAdj, (w) => w.i32(score));
  writer.record(PLAN_TAG.umask, (w) => w.u32(process.umask ?? 0o022));
}

function writeNamespaces(writer: PlanWriter, namespaces: ContainerPlan['namespaces']): void {
  for (const kind of ['pid', 'net', 'ipc', 'uts', 'cgroup'] as const) writeNamespace(writer, kind, namespaces[kind]);
}

function writeNamespace(writer: PlanWriter, kind: keyof typeof NAMESPACE_KIND, choice: NamespaceMode): void {
  writer.record(PLAN_TAG.namespace, (w) => {
    w.u8(NAMESPACE_KIND[kind]);
    w.u8(NAMESPACE_MODE[choice.mode]);
    w.u32(choice.mode === 'join' ? choice.process.pid : 0);
    w.u64(choice.mode === 'join' ? choice.process.startTicks : 0n);
    w.text(choice.mode === 'path' ? choice.path : '');
  });
}

function writeUserNamespace(writer: PlanWriter, { mode, ids }: UserNamespacePlan): void {
  writeNamespace(writer, 'user', mode);
  writer.record(PLAN_TAG.idMap, (w) => {
    for (const value of [ids.uid, ids.gid, ids.size]) w.u32(value);
  });
}

function writeRoot(writer: PlanWriter, root: RootPlan): void {
  if (root.kind === 'overlay') {
    for (const lower of root.lowers) text(writer, PLAN_TAG.lower, lower);
    text(writer, PLAN_TAG.upper, root.upper);
    text(writer, PLAN_TAG.work, root.work);
    const { storageLimit } = root;
    if (storageLimit !== undefined) writer.record(PLAN_TAG.storageLimit, (w) => w.u64(storageLimit));
  } else {
    text(writer, PLAN_TAG.rootDirectory, root.path);
  }
  writer.record(PLAN_TAG.rootReadonly, (w) => w.u8(root.readonly ? 1 : 0));
}

function writeMount(writer: PlanWriter, mount: MountPlan): void {
  const bind = mount.kind === 'bind' ? mount : undefined;
  const options = mount.kind === 'bind' || mount.kind === 'image' ? [] : (mount.options ?? []);
  writer.record(PLAN_TAG.mount, (w) => {
    w.u8(MOUNT_KIND[mount.kind]);
    w.u8(REACH[bind?.recursive ? (bind.flagsOnTop ? 'recursiveTop' : 'recursive') : 'one']);
    w.u8(PROPAGATION[bind?.propagation ?? 'private']);
    w.u64(mount.flags.reduce((bits, flag) => bits | MOUNT_ATTR[flag], 0n));
    w.text(bind?.source ?? '');
    w.text(mount.target);
    w.u16(options.length);
    for (const [key, value] of options) {
      w.text(key);
      w.text(value);
    }
  });
  if (bind?.idmapped) writer.record(PLAN_TAG.mountIdmapped, (w) => w.u8(1));
  const relabel = bind?.relabel;
  if (relabel !== undefined) {
    writer.record(PLAN_TAG.mountRelabel, (w) => {
      w.u8(RELABEL[relabel.when]);
      w.text(relabel.label);
    });
  }
  if (mount.kind === 'image') for (const lower of mount.lowers) text(writer, PLAN_TAG.mountLower, lower);
  if (mount.kind !== 'bind' && mount.kind !== 'image') return;
  if (mount.subpath !== undefined) text(writer, PLAN_TAG.mountSubpath, mount.subpath);
}

function writeLimits(writer: PlanWriter, limits: ResourceLimits): void {
  for (const name of Object.keys(LIMIT_KIND) as (keyof typeof LIMIT_KIND)[]) {
    const value = limits[name];
    if (value === undefined) continue;
    writer.record(PLAN_TAG.limit, (w) => {
      w.u8(LIMIT_KIND[name]);
      w.u64(BigInt(value));
    });
  }
  for (const name of ['cpusetCpus', 'cpusetMems'] as const) {
    const value = limits[name];
    if (value === undefined) continue;
    writer.record(PLAN_TAG.limitText, (w) => {
      w.u8(LIMIT_TEXT_KIND[name]);
      w.text(value);
    });
  }
  for (const device of limits.blkioDevices ?? []) {
    writer.record(PLAN_TAG.blkio, (w) => {
      w.u8(BLKIO_KIND[device.kind]);
      w.u32(device.major);
      w.u32(device.minor);
      w.u64(device.rate);
    });
  }
}

function writeDeviceRule(writer: PlanWriter, rule: DeviceRule): void {
  writer.record(PLAN_TAG.deviceRule, (w) => {
    w.u8(rule.allow ? 1 : 0);
    w.u8(rule.type.charCodeAt(0));
    w.i32(rule.major);
    w.i32(rule.minor);
    w.u8(
      (rule.access.includes('r') ? 1 : 0) | (rule.access.includes('w') ? 2 : 0) | (rule.access.includes('m') ? 4 : 0),
    );
  });
}

function writeNetwork(writer: PlanWriter, network: NetworkPlan): void {
  writer.record(PLAN_TAG.network, (w) => {
    w.text(network.bridge);
    w.text(network.hostInterface);
    w.text(network.containerInterface);
    w.bytes(ipv4(network.address));
    w.u8(network.prefixLength);
    w.bytes(network.gateway === undefined ? Buffer.alloc(4) : ipv4(network.gateway));
    w.bytes(macBytes(network.macAddress));
    w.u32(network.mtu);
  });
}

function ipv4(address: string): Buffer {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) {
    throw new RangeError(`"${address}" is not an IPv4 address`);
  }
  return Buffer.from(parts);
}
