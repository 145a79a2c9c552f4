import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quantile } from './statistics.ts';

const SHIM = join(import.meta.dirname, '../../services/node-agent/native/build/atoll-shim');
const FILES = 10_000;

/** A layer of 10,000 files of 2 KiB in 100 folders: our unpacking against GNU tar's, both without a sync to disk. */
export async function measureUnpack(rounds: number): Promise<void> {
  // In memory: a disk's write-back would be measured otherwise.
  const folder = mkdtempSync('/dev/shm/atoll-bench-unpack-');
  try {
    const tar = makeTar(folder);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(time(folder, (target) => run(SHIM, ['layer-apply', target, '--no-sync'], tar)));
      theirs.push(time(folder, (target) => run('tar', ['-x', '-C', target], tar)));
    }
    const show = (values: readonly number[]) => [0, 0.5, 0.9].map((q) => quantile(values, q).toFixed(0)).join(' / ');
    console.log(
      `${FILES} files, ms (min / median / p90): atoll-shim ${show(ours)}, GNU tar ${show(theirs)}, ratio ${(quantile(ours, 0.5) / quantile(theirs, 0.5)).toFixed(2)} (goal 1)`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeTar(folder: string): string {
  const source = join(folder, 'source');
  for (let index = 0; index < FILES; index++) {
    const directory = join(source, `d${index % 100}`);
    if (index < 100) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `f${index}`), Buffer.alloc(2048, index));
  }
  const tar = join(folder, 'layer.tar');
  execFileSync('tar', ['-C', source, '-cf', tar, '.']);
  return tar;
}

function time(folder: string, unpack: (target: string) => void): number {
  const target = join(folder, 'target');
  mkdirSync(target);
  const start = performance.now();
  unpack(target);
  const took = performance.now() - start;
  rmSync(target, { recursive: true });
  return took;
}

function run(program: string, args: readonly string[], input: string): void {
  execFileSync(program, args, { stdio: [openSync(input, 'r'), 'ignore', 'inherit'] });
}
