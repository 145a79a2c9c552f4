import { openSync, writeSync } from 'node:fs';
import { basename } from 'node:path';

const path = process.env['ATOLL_TRACE'];
const file = path ? openSync(path, 'a', 0o600) : undefined;
const self = basename(process.argv[1] ?? 'node').replace(/\..*$/, '');

/** Whether steps are noted, for those that have to make up what a step is called. */
export const isTracing = file !== undefined;

/**
 * Notes that this process is at a step of its work, when `ATOLL_TRACE` names a file: a line `<ns> <process> <step>`, on the
 * monotonic clock that all processes of a machine share. `bench/src/trace.ts` makes spans of it. Off, it is one comparison.
 */
export function traceStep(step: string): void {
  if (file !== undefined) writeSync(file, `${process.hrtime.bigint()} ${self} ${step}\n`);
}
