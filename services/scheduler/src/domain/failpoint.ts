import { traceStep } from '@atoll/logging';

/**
 * Places where a test can have this process killed, as a power cut or the OOM killer would: nothing of what follows happens. The
 * numbers are the steps of docs/scheduling.md, "Failpoints".
 */
export const FAILPOINTS = [
  'lease.1-taken',
  'lease.2-caught-up',
  'lease.3-claimed',
  'lease.4-serving',
  'create.1-held',
  'create.2-asked',
  'create.3-stored',
  'create.4-told',
  'start.1-asked',
  'start.2-stored',
  'start.3-obeyed',
  'stop.1-asked',
  'stop.2-stored',
  'stop.3-obeyed',
  'remove.1-begun',
  'remove.2-obeyed',
  'remove.3-deleted',
  'remove.4-told',
  'move.1-noted',
  'move.2-copied',
  'move.3-stopped',
  'move.4-placed',
  'move.5-committed',
  'move.6-followed',
  'move.7-recreated',
  'move.8-removed',
  'move.9-started',
  'move.10-freed',
  'restore.1-noted',
  'restore.2-committed',
  'resume.1-waiting',
  'resume.2-joined',
  'status.1-heard',
  'status.2-stored',
  'status.3-told',
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];

let armed: string | undefined;

/** Called once at the start, from the configuration. */
export function armFailpoint(name: Failpoint | undefined): void {
  armed = name;
}

/** A step is reached: it is traced, and ends the process when it is the armed one. */
export function failpoint(name: Failpoint): void {
  traceStep(name);
  if (name === armed) process.kill(process.pid, 'SIGKILL');
}

/** The failpoint once something has come; for steps that go on side by side. */
export function thenFailpoint<T>(name: Failpoint): (value: T) => T {
  return (value) => {
    failpoint(name);
    return value;
  };
}
