/** Hidden from an unprivileged container (Docker's list as of 29.x). Paths a host lacks are skipped by the shim. */
export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/**
 * The masks of a host with `cpus` processors: also each one's thermal_throttle folder, whose counters tell
 * what neighbours do.
 */
export function maskedPaths(cpus: number): readonly string[] {
  const throttles = Array.from({ length: cpus }, (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`);
  return [...MASKED_PATHS, ...throttles];
}
