import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { checkTransition, STATE_TRANSITIONS } from './container-states.ts';
import { parseExitRecord } from './exit-record.ts';
import { logPlan } from './log-plan.ts';
import { processEnvironment } from './process-environment.ts';
import { recognised } from './recognised.ts';
import { resourceLimits } from './resource-limits.ts';
import { type EndedRun, restartDelay } from './restart-policy.ts';
import { signalNumber } from './signals.ts';
import { checkedSysctls } from './sysctls.ts';
import { tmpfsMount } from './tmpfs-mount.ts';

describe('restart policies', () => {
  const run: EndedRun = { exitCode: 1, ranMs: 5, restarts: 0, previousDelayMs: 0, stoppedByUser: false };
  test.each([
    ['none', '', 0, {}, undefined],
    ['no', 'no', 0, {}, undefined],
    ['always, first', 'always', 0, {}, 100],
    ['always, exit 0', 'always', 0, { exitCode: 0 }, 100],
    ['doubled', 'always', 0, { previousDelayMs: 100 }, 200],
    ['not for ever', 'always', 0, { previousDelayMs: 50_000 }, 60_000],
    ['first again after a good run', 'always', 0, { previousDelayMs: 50_000, ranMs: 10_000 }, 100],
    ['stopped by a user', 'always', 0, { stoppedByUser: true }, undefined],
    ['on-failure, success', 'on-failure', 0, { exitCode: 0 }, undefined],
    ['on-failure without a limit', 'on-failure', 0, { restarts: 1000, previousDelayMs: 100 }, 200],
    ['on-failure at its limit', 'on-failure', 3, { restarts: 3 }, undefined],
    ['on-failure below it', 'on-failure', 3, { restarts: 2 }, 100],
  ])('%s', (_name, name, maximumRetryCount, more, want) => {
    expect(restartDelay({ name, maximumRetryCount }, { ...run, ...more })).toBe(want);
  });
});

describe('states', () => {
  const all = Object.keys(STATE_TRANSITIONS).map(Number) as containerV1.ContainerState[];
  test('what is removed stays removed', () => {
    for (const state of all) {
      if (state === containerV1.ContainerState.REMOVED) continue;
      expect(() => checkTransition('x', containerV1.ContainerState.REMOVED, state)).toThrow('cannot become');
    }
  });
  test('everything can come to be removed', () => {
    const reaches = (from: number, seen = new Set<number>()): boolean => {
      if (from === containerV1.ContainerState.REMOVED) return true;
      if (seen.has(from)) return false;
      seen.add(from);
      return (STATE_TRANSITIONS[from] ?? []).some((next) => reaches(next, seen));
    };
    expect(all.filter((state) => !reaches(state))).toEqual([]);
  });
});

describe('signals', () => {
  test.each([
    ['SIGTERM', 15],
    ['term', 15],
    ['9', 9],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
  ])('%s', (text, number) => {
    expect(signalNumber(text)).toBe(number);
  });
  test.each(['', 'SIGNOPE', '0', '65', '-1', 'RTMIN+99', '9; reboot'])('"%s" is none', (text) => {
    expect(() => signalNumber(text)).toThrow('Invalid signal');
  });
});

describe('limits', () => {
  const limits = (more: object, swap = true) => resourceLimits(containerV1.Resources.fromPartial(more), swap);
  test.each([
    ['nothing', {}, { pids: 4096 }],
    ['memory brings as much swap', { memory: 10n << 20n }, { memory: 10n << 20n, memoryAndSwap: 20n << 20n }],
    ['unlimited swap', { memory: 10n << 20n, memorySwap: -1n }, { memoryAndSwap: -1n }],
    ['parts of a processor', { nanoCpus: 1_500_000_000n }, { cpuQuota: 150_000, cpuPeriod: 100_000 }],
    ['no limit of processes', { pidsLimit: -1n }, { pids: -1 }],
  ])('%s', (_name, given, want) => {
    expect(limits(given)).toMatchObject(want);
  });
  test.each([
    ['too little memory', { memory: 1n }, 'Minimum memory limit allowed is 6MB'],
    ['less swap than memory', { memory: 20n << 20n, memorySwap: 10n << 20n }, 'Minimum memoryswap limit'],
    ['two ways at once', { nanoCpus: 1n, cpuQuota: 1n }, 'Conflicting options'],
  ])('%s', (_name, given, words) => {
    expect(() => limits(given)).toThrow(words);
  });
  test('a host that does not account swap says so, unless it was only implied', () => {
    expect(limits({ memory: 10n << 20n }, false)).not.toHaveProperty('memoryAndSwap');
    expect(() => limits({ memory: 10n << 20n, memorySwap: 30n << 20n }, false)).toThrow('cannot limit swap');
  });
});

describe('sysctls', () => {
  const own = { network: true, ipc: true };
  test.each([
    ['of the network', { 'net.core.somaxconn': '5' }],
    ['of ipc', { 'kernel.msgmax': '5' }],
    ['of message queues', { 'fs.mqueue.msg_max': '5' }],
  ])('%s', (_name, given) => {
    expect(checkedSysctls(given, own)).toMatchObject(given);
  });
  test.each([
    ['of the kernel', { 'kernel.core_pattern': 'x' }, own],
    ['a path', { 'net/../kernel/core_pattern': 'x' }, own],
    ['two in one', { 'kernel.shm_rmid_forced': '1\nkernel.core_pattern=x' }, own],
    ["of the host's network", { 'net.core.somaxconn': '5' }, { network: false, ipc: true }],
  ])('refused: %s', (_name, given, owns) => {
    expect(() => checkedSysctls(given as unknown as Record<string, string>, owns)).toThrow(/not allowed|one line/);
  });
});

describe('other parts of a plan', () => {
  test('variables: the last of a name wins, one without a value goes', () => {
    expect(processEnvironment(['A=1', 'A=2', 'HOSTNAME'], 'h', true)).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'TERM=xterm',
      'A=2',
    ]);
  });
  test('tmpfs: defaults and options', () => {
    const mount = containerV1.Mount.fromPartial({ target: '/t', options: 'exec,size=64m,ro' });
    expect(tmpfsMount(mount)).toEqual({
      kind: 'tmpfs',
      target: '/t',
      flags: ['nosuid', 'nodev', 'ro'],
      options: [['size', '64m']],
    });
    expect(() => tmpfsMount({ ...mount, options: 'lowerdir=/' })).toThrow('invalid tmpfs option');
  });
  test.each([
    ['10m', '3', 10_485_760n, 3],
    ['1g', undefined, 1_073_741_824n, 5],
    [undefined, undefined, 20_000_000n, 5],
  ])('logs of %s x %s', (size, files, maxBytes, maxFiles) => {
    const config = { ...(size ? { 'max-size': size } : {}), ...(files ? { 'max-file': files } : {}) };
    expect(logPlan({ type: '', config }, '/l')).toMatchObject({ maxBytes, maxFiles });
  });
  test('exit records of any form but the right one are none', () => {
    for (const text of ['', '{', '{}', '[]', '{"code":"x"}']) expect(parseExitRecord(text)).toBeUndefined();
    const text = '{"code":3,"signal":0,"oomKilled":false,"startedAt":"1","finishedAt":"2","lost":false}';
    expect(parseExitRecord(text)).toMatchObject({ code: 3, startedAt: 1n, finishedAt: 2n, lost: false });
  });
});

describe('what a supervisor says when it is found again', () => {
  const S = containerV1.ContainerState;
  const found = {
    status: 'running',
    pid: 7,
    startedAt: 5n,
    code: 0,
    signal: 0,
    oomKilled: false,
    finishedAt: 0n,
  } as const;
  const status = (more: object) => containerV1.ContainerStatus.fromPartial({ pid: 7, startedAtNs: 5n, ...more });
  test.each([
    ['as it was', found, { state: S.RUNNING }, []],
    ['another run', found, { state: S.RUNNING, pid: 6 }, [S.RUNNING]],
    ['it ran already', found, { state: S.CREATED, pid: 0 }, [S.RUNNING]],
    ['paused as it was', { ...found, status: 'paused' }, { state: S.PAUSED }, []],
    ['paused meanwhile', { ...found, status: 'paused' }, { state: S.RUNNING }, [S.PAUSED]],
    ['another run, paused', { ...found, status: 'paused' }, { state: S.EXITED, pid: 0 }, [S.RUNNING, S.PAUSED]],
    ['prepared', { ...found, status: 'created', pid: 7 }, { state: S.CREATING, pid: 0 }, [S.CREATED]],
    ['prepared anew', { ...found, status: 'created', pid: 7 }, { state: S.EXITED, pid: 0 }, []],
  ] as const)('%s', (_name, shim, before, want) => {
    expect(recognised(shim, status(before)).map(({ state }) => state)).toEqual(want);
  });
});
