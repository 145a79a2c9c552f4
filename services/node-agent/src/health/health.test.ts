import { containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { HealthLog, probeOutput } from './health-log.ts';
import { afterProbe, type HealthState, healthRules, probeDelay } from './health-rules.ts';

const SECOND = 1_000_000_000n;
const check = (more: object) => containerV1.Healthcheck.fromPartial({ test: ['CMD', 'true'], ...more });

describe('rules', () => {
  test.each([
    ['none given', undefined],
    ['switched off', check({ test: ['NONE'] })],
    ['empty', check({ test: [] })],
  ])('%s', (_name, given) => {
    expect(healthRules(given)).toBeUndefined();
  });

  test("docker's defaults, and its shell", () => {
    expect(healthRules(check({ test: ['CMD-SHELL', 'a | b'] }))).toEqual({
      argv: ['/bin/sh', '-c', 'a | b'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5_000,
      retries: 3,
    });
  });

  test.each([
    ['one success', [true], 'healthy'],
    ['two failures are not enough', [false, false], 'starting'],
    ['three are', [false, false, false], 'unhealthy'],
    ['a success in between counts anew', [false, false, true, false, false], 'healthy'],
    ['back to health', [false, false, false, true], 'healthy'],
  ])('%s', (_name, probes, want) => {
    const rules = healthRules(check({}));
    if (!rules) throw new Error('no rules');
    const start: HealthState = { health: 'starting', failures: 0 };
    expect(probes.reduce((state, ok) => afterProbe(rules, state, ok, 0), start).health).toBe(want);
  });

  test('failures of the start period do not count, and it is probed more often', () => {
    const rules = healthRules(check({ startPeriod: 10n * SECOND, startInterval: SECOND }));
    if (!rules) throw new Error('no rules');
    const start: HealthState = { health: 'starting', failures: 0 };
    expect(afterProbe(rules, start, false, 9_999)).toEqual(start);
    expect(afterProbe(rules, start, false, 10_000)).toEqual({ health: 'starting', failures: 1 });
    expect(probeDelay(rules, start, 0)).toBe(1_000);
    expect(probeDelay(rules, start, 10_000)).toBe(30_000);
  });
});

describe('the log', () => {
  const result = (exitCode: number) => ({ startNs: 1n, endNs: 2n, exitCode, output: '' });

  test('keeps the last five probes, oldest first, and the failures that count', () => {
    const log = new HealthLog();
    for (const code of [0, 1, 2, 3, 4, 5, 6]) log.add(result(code), code);
    expect(log.toWire().log.map(({ exitCode }) => exitCode)).toEqual([2, 3, 4, 5, 6]);
    expect(log.toWire().failingStreak).toBe(6);
    log.begin();
    expect([log.toWire().failingStreak, log.toWire().log.length]).toEqual([0, 5]);
  });

  test.each<[string, readonly string[], string, string]>([
    ['nothing', [], '', ''],
    ['pieces', ['a', 'b\n'], '', 'ab\n'],
    ['just as much as fits', ['x'.repeat(4096)], '', 'x'.repeat(4096)],
    ['more than fits', ['x'.repeat(4000), 'y'.repeat(200)], '', `${'x'.repeat(4000)}${'y'.repeat(96)}...`],
    ['more after it was full', ['x'.repeat(4096), 'y'], '', `${'x'.repeat(4096)}...`],
    ['a problem alone', [], 'too late', 'too late'],
    ['a problem and what was written', ['half'], 'too late', 'too late: half'],
  ])('output: %s', (_name, pieces, problem, want) => {
    const output = probeOutput();
    for (const piece of pieces) output.add(Buffer.from(piece));
    expect(output.text(problem)).toBe(want);
  });
});

describe('a container with a check', { timeout: 120_000 }, () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create();
  });
  afterAll(async () => {
    await host?.dispose();
  });

  test('becomes healthy, then not, and says so', async () => {
    const healthcheck = { test: ['CMD', 'test', '-e', '/tmp/well'], interval: SECOND / 10n, retries: 2n };
    const record = host.record(['sh', '-c', 'touch /tmp/well; sleep 1; rm /tmp/well; sleep 1000'], { healthcheck });
    await host.ensure(record);
    await host.start(record);
    const seen = (health: string) =>
      host.scheduler.status((status) => status.id === record.id && status.health === health);
    await seen('starting');
    await seen('healthy');
    await seen('unhealthy');
    const told = (): readonly string[] => host.scheduler.events.filter((event) => event.startsWith('health_status'));
    while (told().length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told()).toEqual(['health_status: healthy', 'health_status: unhealthy']);
    const { health } = await host.runtime.getStatus({ containerId: record.id });
    expect(health?.failingStreak).toBeGreaterThanOrEqual(2);
    expect(health?.log.length).toBeLessThanOrEqual(5);
    expect(health?.log.at(-1)?.exitCode).toBe(1);
    expect(health?.log.every(({ startNs, endNs }) => endNs >= startNs)).toBe(true);
    await host.remove(record);
  });

  test('a probe that hangs is ended', async () => {
    const healthcheck = { test: ['CMD', 'sleep', '987'], interval: SECOND / 10n, timeout: SECOND / 5n, retries: 1n };
    const record = host.record(['sleep', '1000'], { healthcheck });
    await host.ensure(record);
    await host.start(record);
    await host.scheduler.status(({ id, health }) => id === record.id && health === 'unhealthy');
    const { health } = await host.runtime.getStatus({ containerId: record.id });
    expect(health?.log[0]).toMatchObject({ exitCode: -1, output: 'Health check exceeded timeout (200 ms)' });
    await host.remove(record);
  });

  test.each([
    ['what it wrote', ['CMD-SHELL', 'echo out; echo err >&2; exit 3'], 3, /^out\nerr\n$/],
    ['why it cannot be run', ['CMD', '/no/such'], -1, /no such file/i],
  ])('its log has %s', async (_name, probe, exitCode, output) => {
    const record = host.record(['sleep', '1000'], { healthcheck: { test: probe, interval: SECOND / 10n } });
    await host.ensure(record);
    await host.start(record);
    const first = async () => (await host.runtime.getStatus({ containerId: record.id })).health?.log[0];
    await expect.poll(first).toMatchObject({ exitCode, output: expect.stringMatching(output) });
    await host.remove(record);
  });
});
