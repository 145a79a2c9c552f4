import { z } from 'zod';
import { DEVICE_FIELDS } from './devices.ts';
import { absentable, flag, integer, knownFields, text, textMap, texts, unbuilt } from './lenient-object.ts';
import { MOUNT } from './mount-request.ts';

const PORT_BINDINGS = z.record(z.string(), z.array(knownFields({ HostIp: text, HostPort: text })).nullable());

export const RESTART_POLICY = knownFields({
  Name: text,
  MaximumRetryCount: integer,
});

/** Limits that POST /containers/{id}/update takes too. */
export const RESOURCE_FIELDS = {
  ...DEVICE_FIELDS,
  CpuShares: integer,
  Memory: integer,
  CgroupParent: text,
  BlkioWeight: integer,
  CpuPeriod: integer,
  CpuQuota: integer,
  CpuRealtimePeriod: integer,
  CpuRealtimeRuntime: integer,
  CpusetCpus: text,
  CpusetMems: text,
  KernelMemory: integer,
  KernelMemoryTCP: integer,
  MemoryReservation: integer,
  MemorySwap: integer,
  MemorySwappiness: integer,
  NanoCpus: integer,
  OomKillDisable: flag,
  Init: flag,
  PidsLimit: integer,
  Ulimits: absentable(z.array(knownFields({ Name: z.string(), Soft: z.int(), Hard: z.int() }))),
  // Windows only.
  CpuCount: unbuilt(),
  CpuPercent: unbuilt(),
  IOMaximumIOps: unbuilt(),
  IOMaximumBandwidth: unbuilt(),
};

/** HostConfig of the create request: every field of API 1.51. */
export const HOST_CONFIG = knownFields({
  ...RESOURCE_FIELDS,
  Binds: texts,
  // Written by the client; the daemon only stores it.
  ContainerIDFile: text,
  LogConfig: absentable(knownFields({ Type: text, Config: textMap })),
  NetworkMode: text,
  PortBindings: absentable(PORT_BINDINGS),
  RestartPolicy: absentable(RESTART_POLICY),
  AutoRemove: flag,
  VolumeDriver: unbuilt('local'),
  VolumesFrom: texts,
  Mounts: absentable(z.array(MOUNT)),
  ConsoleSize: absentable(z.tuple([z.int().min(0).max(65535), z.int().min(0).max(65535)])),
  Annotations: textMap,
  CapAdd: texts,
  CapDrop: texts,
  CgroupnsMode: absentable(z.enum(['', 'private', 'host'])),
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Cgroup: unbuilt(),
  Links: texts,
  OomScoreAdj: integer,
  PidMode: text,
  Privileged: flag,
  PublishAllPorts: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap,
  Tmpfs: textMap,
  UTSMode: text,
  UsernsMode: text,
  ShmSize: integer,
  Sysctls: textMap,
  Runtime: text,
  Isolation: unbuilt('default'),
  MaskedPaths: texts,
  ReadonlyPaths: texts,
});

export type HostConfigRequest = z.output<typeof HOST_CONFIG>;
