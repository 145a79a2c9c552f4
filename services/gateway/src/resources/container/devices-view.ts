import type { containerV1 } from '@atoll/proto';

/** The fields of `HostConfig` about devices, for inspect. */
export function deviceFields(limits: containerV1.Resources | undefined): Record<string, unknown> {
  const rates = (given: readonly containerV1.ThrottleDevice[] | undefined): readonly object[] =>
    (given ?? []).map(({ path, rate }) => ({ Path: path, Rate: Number(rate) }));
  return {
    BlkioWeightDevice: (limits?.blkioWeightDevice ?? []).map(({ path, weight }) => ({ Path: path, Weight: weight })),
    BlkioDeviceReadBps: rates(limits?.blkioDeviceReadBps),
    BlkioDeviceWriteBps: rates(limits?.blkioDeviceWriteBps),
    BlkioDeviceReadIOps: rates(limits?.blkioDeviceReadIops),
    BlkioDeviceWriteIOps: rates(limits?.blkioDeviceWriteIops),
    Devices: (limits?.devices ?? []).map(({ pathOnHost, pathInContainer, cgroupPermissions }) => ({
      PathOnHost: pathOnHost,
      PathInContainer: pathInContainer,
      CgroupPermissions: cgroupPermissions,
    })),
    DeviceCgroupRules: limits?.deviceCgroupRules.length ? limits.deviceCgroupRules : null,
    DeviceRequests: null,
  };
}
