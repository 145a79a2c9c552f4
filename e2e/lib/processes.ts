import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Descriptors a process has open. */
export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Memory of a process that is its own, in MiB. */
export function memoryOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Private_Dirty: +(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
}

/** Limits the descriptors of a running process, and gives back what undoes it. */
export function limitDescriptors(pid: number, limit: number): () => void {
  const before = execFileSync('prlimit', ['--pid', String(pid), '--nofile', '--noheadings', '--output', 'SOFT,HARD'], {
    encoding: 'utf8',
  })
    .trim()
    .split(/\s+/)
    .join(':');
  const set = (value: string): void => void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${value}`]);
  set(`${limit}:${before.split(':')[1]}`);
  return () => set(before);
}

/** How much the kernel's out-of-memory killer is kept from a process. */
export const outOfMemoryScore = (pid: number): number => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'));

/** Whether this machine lets us lower it (CAP_SYS_RESOURCE). */
export function canLowerScore(): boolean {
  try {
    execFileSync('sh', ['-c', 'echo -1 >/proc/self/oom_score_adj'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
