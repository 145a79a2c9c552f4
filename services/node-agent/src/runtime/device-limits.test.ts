import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_DEVICE_RULES, DEFAULT_DEVICES } from './default-mounts.ts';
import type { BlkioDevice, CgroupPlan, DeviceRule } from './plan.ts';
import { ShimClient } from './shim-client.ts';
import { TestHost } from './testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

/** A whole disk of this machine; limits of partitions are the kernel's own refusal. */
const disk = readdirSync('/sys/block').find((name) => !/^(zram|ram|sr|fd)/.test(name)) ?? '';
const [major = 0, minor = 0] = readFileSync(`/sys/block/${disk}/dev`, 'utf8').trim().split(':').map(Number);
const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers');

/** What a file of the container's cgroup says while the container is prepared. */
async function groupFile(limits: CgroupPlan['limits'], v1: string, v2: string): Promise<string> {
  const bundle = await host.bundle();
  const plan = host.plan(bundle, ['true']);
  await host.launch(bundle, { ...plan, cgroup: { ...plan.cgroup, limits } });
  using client = await ShimClient.connect(bundle, () => {}, host.signal);
  const text = readFileSync(
    join(
      '/sys/fs/cgroup',
      isV2 ? plan.cgroup.path : `${v1.split('/')[0]}${plan.cgroup.path}`,
      isV2 ? v2 : (v1.split('/')[1] ?? ''),
    ),
    'utf8',
  );
  await client.shutdown(host.signal);
  await client.closed;
  return text;
}

const one = (kind: BlkioDevice['kind'], rate: bigint) => ({ blkioDevices: [{ kind, major, minor, rate }] });

describe('limits of one disk', () => {
  it.each([
    ['readBps', 'blkio.throttle.read_bps_device', 'rbps'],
    ['writeBps', 'blkio.throttle.write_bps_device', 'wbps'],
    ['readIops', 'blkio.throttle.read_iops_device', 'riops'],
    ['writeIops', 'blkio.throttle.write_iops_device', 'wiops'],
  ] as const)('%s is in the cgroup', async (kind, v1, v2) => {
    const text = await groupFile(one(kind, 4096n), `blkio/${v1}`, 'io.max');
    expect(text).toContain(`${major}:${minor}`);
    expect(text).toContain(isV2 ? `${v2}=4096` : '4096');
  });

  it('a rate of 0 is none', async () => {
    const text = await groupFile(one('readBps', 0n), 'blkio/blkio.throttle.read_bps_device', 'io.max');
    expect(text.trim()).toBe('');
  });

  it.each([
    ['a disk that does not exist', { kind: 'readBps', major: 4000, minor: 7, rate: 1n }],
    ['a weight out of range', { kind: 'weight', major, minor, rate: 5n }],
  ] as const)('refuses %s', async (_name, device) => {
    const bundle = await host.bundle();
    const plan = host.plan(bundle, ['true']);
    const cgroup = { ...plan.cgroup, limits: { blkioDevices: [device] } };
    await expect(host.launch(bundle, { ...plan, cgroup })).rejects.toThrow(
      /blkio throttle 4000:7|device weight beyond/,
    );
  });

  it('a realtime budget that the parent group does not have is refused, and says why', async () => {
    const bundle = await host.bundle();
    const plan = host.plan(bundle, ['true']);
    const cgroup = { ...plan.cgroup, limits: { cpuRealtimePeriod: 1_000_000, cpuRealtimeRuntime: 10_000 } };
    await expect(host.launch(bundle, { ...plan, cgroup })).rejects.toThrow(
      /cpu realtime runtime = 10000: must fit into|no realtime budgets for control groups/,
    );
  });
});

describe('devices of the user', () => {
  const fuse = { path: '/dev/deep/fuse', type: 'c', major: 10, minor: 229, mode: 0o640, uid: 0, gid: 44 } as const;
  const rule = (access: string): DeviceRule => ({ allow: true, type: 'c', major: 10, minor: 229, access });
  const withDevice = (access: string) => ({
    plan: {
      devices: [...DEFAULT_DEVICES, fuse],
      cgroup: {
        path: `${host.cgroup}/${randomUUID()}`,
        limits: {},
        deviceRules: [...DEFAULT_DEVICE_RULES, rule(access)],
      },
    },
  });

  it('has its numbers, mode and owner', async () => {
    const result = await host.run(['stat', '-c', '%t:%T %a %u:%g', fuse.path], withDevice('rwm'));
    expect(result.stdout.trim()).toBe('a:e5 640 0:44');
  });

  it.each([
    ['r', 'r', 'ok'],
    ['r', 'w', 'EPERM'],
    ['m', 'r', 'EPERM'],
    ['rw', 'w', 'ok'],
  ])('access %s: opened for %s: %s', async (access, how, wanted) => {
    const result = await host.run(['probe', 'open', fuse.path, how], withDevice(access));
    expect(result.stdout.trim()).toBe(wanted);
  });

  const all = (allow: boolean): DeviceRule => ({ allow, type: 'a', major: -1, minor: -1, access: 'rwm' });
  it.each([
    ['all are allowed', [all(true)], 'ok'],
    ['all are allowed after a rule', [rule('r'), all(true)], 'ok'],
    ['all are refused before others are allowed', [all(true), all(false), ...DEFAULT_DEVICE_RULES], 'EPERM'],
    ['all are refused, and one is allowed', [all(false), ...DEFAULT_DEVICE_RULES, rule('rw')], 'ok'],
  ])('%s', async (_name, deviceRules, wanted) => {
    const { plan } = withDevice('r');
    const changes = { plan: { ...plan, cgroup: { ...plan.cgroup, deviceRules } } };
    expect((await host.run(['probe', 'open', fuse.path, 'w'], changes)).stdout.trim()).toBe(wanted);
  });
});
