import { reasonOf } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { errorOfIssues } from '../../routing/zod-issues.ts';
import { devicesOf } from './devices.ts';
import { deviceFields } from './devices-view.ts';
import { HOST_CONFIG } from './host-config-request.ts';
import { limitsOf } from './limits.ts';
import { memoryWarnings } from './memory-warnings.ts';

function parse(body: object) {
  const parsed = HOST_CONFIG.safeParse(body);
  if (!parsed.success) throw errorOfIssues(parsed.error, body);
  return parsed.data;
}

function resources(body: object): containerV1.Resources {
  const host = parse(body);
  return containerV1.Resources.fromPartial({ ...limitsOf(host), ...devicesOf(host) });
}

describe('devices of a request', () => {
  test.each<[string, object, object]>([
    [
      'a device keeps its path and may be used in every way',
      { Devices: [{ PathOnHost: '/dev/fuse' }] },
      { devices: [{ pathOnHost: '/dev/fuse', pathInContainer: '/dev/fuse', cgroupPermissions: 'rwm' }] },
    ],
    [
      'a device at another path, read only',
      { Devices: [{ PathOnHost: '/dev/vda', PathInContainer: '/dev//disk/', CgroupPermissions: 'r' }] },
      { devices: [{ pathOnHost: '/dev/vda', pathInContainer: '/dev/disk', cgroupPermissions: 'r' }] },
    ],
    [
      'the same device twice is one',
      { Devices: [{ PathOnHost: '/dev/fuse' }, { PathOnHost: '/dev/fuse', CgroupPermissions: 'rw' }] },
      { devices: [{ pathOnHost: '/dev/fuse', cgroupPermissions: 'rw' }] },
    ],
    ['a rule', { DeviceCgroupRules: ['c 13:* rwm', 'a *:* r'] }, { deviceCgroupRules: ['c 13:* rwm', 'a *:* r'] }],
    [
      'a weight',
      { BlkioWeightDevice: [{ Path: '/dev/vda', Weight: 300 }] },
      { blkioWeightDevice: [{ path: '/dev/vda', weight: 300 }] },
    ],
    [
      'throttles',
      {
        BlkioDeviceReadBps: [{ Path: '/dev/a', Rate: 1 }],
        BlkioDeviceWriteBps: [{ Path: '/dev/b', Rate: 2 ** 40 }],
        BlkioDeviceReadIOps: [{ Path: '/dev/c', Rate: 3 }],
        BlkioDeviceWriteIOps: [{ Path: '/dev/d', Rate: 0 }],
      },
      {
        blkioDeviceReadBps: [{ path: '/dev/a', rate: 1n }],
        blkioDeviceWriteBps: [{ path: '/dev/b', rate: 2n ** 40n }],
        blkioDeviceReadIops: [{ path: '/dev/c', rate: 3n }],
        blkioDeviceWriteIops: [{ path: '/dev/d', rate: 0n }],
      },
    ],
    [
      'a realtime budget',
      { CpuRealtimePeriod: 500_000, CpuRealtimeRuntime: 400_000 },
      { cpuRealtimePeriod: 500_000n, cpuRealtimeRuntime: 400_000n },
    ],
  ])('%s', (_name, body, want) => {
    expect(resources(body)).toMatchObject(want);
  });

  test('inspect shows them as they were given', () => {
    const body = {
      BlkioWeightDevice: [{ Path: '/dev/vda', Weight: 300 }],
      BlkioDeviceReadBps: [{ Path: '/dev/a', Rate: 1 }],
      BlkioDeviceWriteBps: [],
      BlkioDeviceReadIOps: [],
      BlkioDeviceWriteIOps: [{ Path: '/dev/d', Rate: 5 }],
      Devices: [{ PathOnHost: '/dev/fuse', PathInContainer: '/dev/x', CgroupPermissions: 'rm' }],
      DeviceCgroupRules: ['b 8:* r'],
      DeviceRequests: null,
    };
    expect(deviceFields(resources(body))).toEqual(body);
  });
});

describe('refusals name the field', () => {
  test.each<[string, object, string]>([
    ['devices that are no list', { Devices: {} }, 'HostConfig.Devices'],
    ['a device without a path', { Devices: [{}] }, 'PathOnHost'],
    [
      'a relative device',
      { Devices: [{ PathOnHost: 'dev/a' }] },
      'HostConfig.Devices: "dev/a" is not an absolute path',
    ],
    ['the root as a device', { Devices: [{ PathOnHost: '/dev/a', PathInContainer: '/' }] }, 'cannot be a device'],
    [
      'an access that is none',
      { Devices: [{ PathOnHost: '/dev/a', CgroupPermissions: 'rx' }] },
      'HostConfig.Devices: invalid device mode "rx"',
    ],
    ['an access twice', { Devices: [{ PathOnHost: '/dev/a', CgroupPermissions: 'rr' }] }, 'each once'],
    ['an unknown field', { Devices: [{ PathOnHost: '/dev/a', Colour: 'red' }] }, 'Colour: unknown field'],
    [
      'two devices at one place',
      {
        Devices: [
          { PathOnHost: '/dev/a', PathInContainer: '/dev/x' },
          { PathOnHost: '/dev/b', PathInContainer: '/dev/x' },
        ],
      },
      'cannot both be /dev/x',
    ],
    ['a rule of another kind', { DeviceCgroupRules: ['x 1:1 r'] }, 'invalid device cgroup rule format'],
    ['a rule without access', { DeviceCgroupRules: ['c 1:1'] }, 'HostConfig.DeviceCgroupRules'],
    ['a major number no device has', { DeviceCgroupRules: ['c 4096:1 r'] }, 'invalid device cgroup rule format'],
    ['a weight out of range', { BlkioWeightDevice: [{ Path: '/dev/a', Weight: 9 }] }, 'from 10 to 1000 (got 9)'],
    ['a weight of a relative path', { BlkioWeightDevice: [{ Path: 'a', Weight: 10 }] }, 'BlkioWeightDevice: "a"'],
    ['a negative rate', { BlkioDeviceReadBps: [{ Path: '/dev/a', Rate: -1 }] }, 'BlkioDeviceReadBps: want a rate'],
    ['a rate as a text', { BlkioDeviceReadBps: [{ Path: '/dev/a', Rate: '1m' }] }, 'BlkioDeviceReadBps'],
    ['too many operations', { BlkioDeviceWriteIOps: [{ Path: '/dev/a', Rate: 2 ** 32 }] }, 'BlkioDeviceWriteIOps'],
    ['a negative realtime period', { CpuRealtimePeriod: -1 }, 'HostConfig.CpuRealtimePeriod'],
    ['more runtime than period', { CpuRealtimePeriod: 5, CpuRealtimeRuntime: 6 }, 'cannot be higher than'],
    ['more runtime than a second', { CpuRealtimeRuntime: 1_000_001 }, 'cannot be higher than'],
    [
      'two ways to choose GPUs',
      { DeviceRequests: [{ Count: 1, DeviceIDs: ['0'] }] },
      'cannot set both Count and DeviceIDs',
    ],
    ['a count below all', { DeviceRequests: [{ Count: -2 }] }, 'invalid Count -2'],
  ])('%s', (_name, body, message) => {
    let error: unknown;
    try {
      resources(body);
    } catch (thrown) {
      error = thrown;
    }
    expect(reasonOf(error)).toBe('invalid-argument');
    expect((error as Error).message).toContain(message.replace(/^HostConfig\./, ''));
  });
});

describe('limits of kernel memory', () => {
  test.each<[string, object, number]>([
    ['none', {}, 0],
    ['of all', { KernelMemory: 10 << 20 }, 1],
    ['of TCP buffers too', { KernelMemory: 10 << 20, KernelMemoryTCP: 1 }, 2],
  ])('%s: %s', (_name, body, count) => {
    expect(memoryWarnings(parse(body))).toHaveLength(count);
  });
  test.each([{ KernelMemory: 1 }, { KernelMemory: -1 }, { KernelMemoryTCP: -1 }])('refused: %j', (body) => {
    expect(() => memoryWarnings(parse(body))).toThrow(/KernelMemory/);
  });
});
