import { spawn } from 'node:child_process';
import { unimplemented } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import { feed } from '../images/through.ts';
import type { Root, RootReader, RootWriter, UpperReader, WriteOptions } from './root-filesystem.ts';

export class ShimFilesystem implements RootReader, RootWriter, UpperReader {
  readonly #shim: string;
  constructor(shim: string) { this.#shim = shim; }
  async unpack(tar: AsyncIterable<Uint8Array>, directory: string, signal: AbortSignal): Promise<void> {
    const child = spawn('tar', ['-C', directory, '-xf', '-'], { stdio: ['pipe', 'ignore', 'inherit'], signal });
    const done = new Promise<void>((resolve, reject) => child.on('close', (code) => code === 0 ? resolve() : reject(new Error('tar'))));
    await feed(tar, child.stdin as any);
    await done;
  }
  async seed(): Promise<void> {}
  async stat(): Promise<runtimeV1.PathStat> { throw unimplemented('stat'); }
  async *read(): AsyncIterable<Uint8Array> { throw unimplemented('read'); }
  async write(): Promise<void> { throw unimplemented('write'); }
  async *diff(): AsyncIterable<Uint8Array> { throw unimplemented('diff'); }
  async changes(): Promise<readonly runtimeV1.Change[]> { throw unimplemented('changes'); }
}
