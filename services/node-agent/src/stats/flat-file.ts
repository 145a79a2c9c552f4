import { readFile } from 'node:fs/promises';
import { unlessMissing } from '../files/missing.ts';

/** A file of one number; 0 when it is missing, 2^64-1 for `max`. */
export async function readNumber(path: string): Promise<bigint> {
  const text = (await unlessMissing(readFile(path, 'utf8')))?.trim() ?? '0';
  if (text === 'max') return 2n ** 64n - 1n;
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** A file of `name number` lines; empty when it is missing. */
export async function readTable(path: string): Promise<ReadonlyMap<string, bigint>> {
  const text = (await unlessMissing(readFile(path, 'utf8'))) ?? '';
  return new Map(
    text.split('\n').flatMap((line): [string, bigint][] => {
      const [name, value] = line.split(/\s+/);
      return name && value && /^\d+$/.test(value) ? [[name, BigInt(value)]] : [];
    }),
  );
}

export async function readLines(path: string): Promise<readonly string[]> {
  const text = (await unlessMissing(readFile(path, 'utf8'))) ?? '';
  return text.split('\n').filter((line) => line !== '');
}
