import type { containerV1 } from '@atoll/proto';

export type Health = 'starting' | 'healthy' | 'unhealthy';

/** A health check with Docker's defaults filled in; milliseconds. */
export interface HealthRules {
  readonly argv: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

const DEFAULT_MS = 30_000;
const DEFAULT_START_INTERVAL_MS = 5_000;
const DEFAULT_RETRIES = 3;

/** Undefined when the container has no check (none given, or NONE). */
export function healthRules(check: containerV1.Healthcheck | undefined): HealthRules | undefined {
  const [kind, ...words] = check?.test ?? [];
  if (!check || kind === undefined || kind === 'NONE' || words.length === 0) return undefined;
  const ms = (ns: bigint, fallback: number): number => (ns > 0n ? Number(ns / 1_000_000n) : fallback);
  return {
    argv: kind === 'CMD-SHELL' ? ['/bin/sh', '-c', words.join(' ')] : words,
    intervalMs: ms(check.interval, DEFAULT_MS),
    timeoutMs: ms(check.timeout, DEFAULT_MS),
    startPeriodMs: ms(check.startPeriod, 0),
    startIntervalMs: ms(check.startInterval, DEFAULT_START_INTERVAL_MS),
    retries: check.retries > 0n ? Number(check.retries) : DEFAULT_RETRIES,
  };
}

export interface HealthState {
  readonly health: Health;
  readonly failures: number;
}

/** The state after one more probe. Failures in the start period do not count before the first success. */
export function afterProbe(rules: HealthRules, before: HealthState, succeeded: boolean, ranMs: number): HealthState {
  if (succeeded) return { health: 'healthy', failures: 0 };
  if (before.health === 'starting' && ranMs < rules.startPeriodMs) return before;
  const failures = before.failures + 1;
  return { health: failures >= rules.retries ? 'unhealthy' : before.health, failures };
}

/** Time to the next probe. */
export function probeDelay(rules: HealthRules, state: HealthState, ranMs: number): number {
  const starting = state.health === 'starting' && ranMs < rules.startPeriodMs;
  return starting ? Math.min(rules.startIntervalMs, rules.intervalMs) : rules.intervalMs;
}
