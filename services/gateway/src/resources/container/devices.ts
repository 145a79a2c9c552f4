import { posix } from 'node:path';
import { invalidArgument, unimplemented } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { z } from 'zod';
import { absentable, integer, knownFields, text, textMap, texts } from './lenient-object.ts';

const WEIGHTS = absentable(z.array(knownFields({ Path: z.string(), Weight: z.int() })));
const RATES = absentable(z.array(knownFields({ Path: z.string(), Rate: z.int() })));

/** Fields of HostConfig about devices. */
export const DEVICE_FIELDS = {
  BlkioWeightDevice: WEIGHTS,
  BlkioDeviceReadBps: RATES,
  BlkioDeviceWriteBps: RATES,
  BlkioDeviceReadIOps: RATES,
  BlkioDeviceWriteIOps: RATES,
  Devices: absentable(z.array(knownFields({ PathOnHost: z.string(), PathInContainer: text, CgroupPermissions: text }))),
  DeviceCgroupRules: texts,
  DeviceRequests: absentable(
    z.array(
      knownFields({
        Driver: text,
        Count: integer,
        DeviceIDs: texts,
        Capabilities: absentable(z.array(z.array(z.string()))),
        Options: textMap,
      }),
    ),
  ),
};

const SHAPE = knownFields(DEVICE_FIELDS);
export type DeviceFields = z.output<typeof SHAPE>;

const CGROUP_RULE = /^[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}$/;
const PERMISSIONS = /^(?!.*(.).*\1)[rwm]{1,3}$/;
/** Device numbers of Linux: 12 and 20 bits. */
const [MAX_MAJOR, MAX_MINOR] = [4095, 1_048_575];
const MAX_IOPS = 2 ** 32 - 1;

/** @throws invalid-argument naming the device, unimplemented for GPUs and the like */
export function devicesOf(host: DeviceFields): Partial<containerV1.Resources> {
  refuseRequests(host.DeviceRequests ?? []);
  return {
    devices: mappings(host.Devices ?? []),
    deviceCgroupRules: (host.DeviceCgroupRules ?? []).map(checkedRule),
    blkioWeightDevice: (host.BlkioWeightDevice ?? []).map(({ Path, Weight }) => {
      if (Weight < 10 || Weight > 1000) {
        throw invalidArgument(`HostConfig.BlkioWeightDevice: range of blkio weight is from 10 to 1000 (got ${Weight})`);
      }
      return { path: absolute('BlkioWeightDevice', Path), weight: Weight };
    }),
    blkioDeviceReadBps: rates('BlkioDeviceReadBps', host.BlkioDeviceReadBps, Number.MAX_SAFE_INTEGER),
    blkioDeviceWriteBps: rates('BlkioDeviceWriteBps', host.BlkioDeviceWriteBps, Number.MAX_SAFE_INTEGER),
    blkioDeviceReadIops: rates('BlkioDeviceReadIOps', host.BlkioDeviceReadIOps, MAX_IOPS),
    blkioDeviceWriteIops: rates('BlkioDeviceWriteIOps', host.BlkioDeviceWriteIOps, MAX_IOPS),
  };
}

function mappings(devices: NonNullable<DeviceFields['Devices']>): containerV1.DeviceMapping[] {
  const made = new Map<string, containerV1.DeviceMapping>();
  for (const { PathOnHost, PathInContainer, CgroupPermissions } of devices) {
    const pathOnHost = absolute('Devices', PathOnHost);
    const pathInContainer = absolute('Devices', PathInContainer || PathOnHost);
    const cgroupPermissions = CgroupPermissions || 'rwm';
    if (!PERMISSIONS.test(cgroupPermissions)) {
      throw invalidArgument(
        `HostConfig.Devices: invalid device mode "${cgroupPermissions}": some of r, w and m, each once`,
      );
    }
    if (pathInContainer === '/' || pathInContainer === '/dev') {
      if (pathOnHost !== '/dev') throw invalidArgument(`HostConfig.Devices: "${pathInContainer}" cannot be a device`);
    }
    const known = made.get(pathInContainer);
    if (known && known.pathOnHost !== pathOnHost) {
      throw invalidArgument(
        `HostConfig.Devices: ${known.pathOnHost} and ${pathOnHost} cannot both be ${pathInContainer} in the container`,
      );
    }
    made.set(pathInContainer, { pathOnHost, pathInContainer, cgroupPermissions });
  }
  return [...made.values()];
}

function absolute(field: string, path: string): string {
  if (path.startsWith('/') && !path.includes('\0')) return posix.normalize(path).replace(/(.)\/$/, '$1');
  throw invalidArgument(`HostConfig.${field}: "${path}" is not an absolute path of a device`);
}

function checkedRule(rule: string): string {
  const [, major, minor] = CGROUP_RULE.exec(rule) ?? [];
  if (
    major === undefined ||
    (major !== '*' && Number(major) > MAX_MAJOR) ||
    (minor !== '*' && Number(minor) > MAX_MINOR)
  ) {
    throw invalidArgument(
      `invalid device cgroup rule format: '${rule}': HostConfig.DeviceCgroupRules takes "[acb] major:minor [rwm]", a number or *`,
    );
  }
  return rule;
}

function rates(field: string, given: DeviceFields['BlkioDeviceReadBps'], most: number): containerV1.ThrottleDevice[] {
  return (given ?? []).map(({ Path, Rate }) => {
    if (Rate < 0 || Rate > most)
      throw invalidArgument(`HostConfig.${field}: want a rate from 0 to ${most} (got ${Rate})`);
    return { path: absolute(field, Path), rate: BigInt(Rate) };
  });
}

/** Docker asks the daemon's device drivers, such as NVIDIA's; there are none here. */
function refuseRequests(requests: NonNullable<DeviceFields['DeviceRequests']>): void {
  const [first] = requests;
  if (!first) return;
  const { Driver = '', Count = 0, DeviceIDs = [], Capabilities = [] } = first;
  if (Count < -1) throw invalidArgument(`HostConfig.DeviceRequests: invalid Count ${Count}: want -1 (all) or more`);
  if (Count !== 0 && DeviceIDs.length > 0) {
    throw invalidArgument('HostConfig.DeviceRequests: cannot set both Count and DeviceIDs on device request');
  }
  const sets = Capabilities.map((set) => `[${set.join(' ')}]`).join(' ');
  throw unimplemented(
    `HostConfig.DeviceRequests: could not select device driver "${Driver}" with capabilities: [${sets}]: ` +
      'no host has a device driver for GPUs and the like',
  );
}
