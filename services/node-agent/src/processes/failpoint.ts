import { traceStep } from '@atoll/logging';

/**
 * Places where a test can have this process killed, as a power cut or the OOM killer would: nothing of what follows happens. The
 * numbers are the steps of docs/node-agent.md, "Failpoints".
 */
export const FAILPOINTS = [
  'pull.1-unpacked',
  'pull.2-committed',
  'create.1-known',
  'create.2-held',
  'create.3-planned',
  'create.4-prepared',
  'create.5-noted',
  'start.1-published',
  'start.2-asked',
  'start.3-running',
  'start.4-noted',
  'stop.1-kept',
  'stop.2-signalled',
  'end.1-seen',
  'end.2-settled',
  'end.3-noted',
  'remove.1-marked',
  'remove.2-dismantled',
  'remove.3-gone',
  'commit.1-stored',
  'commit.2-adopted',
  'copy.1-received',
  'copy.2-handed',
  'receive.1-unpacked',
  'receive.2-placed',
  'resume.1-waiting',
  'resume.2-joined',
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
