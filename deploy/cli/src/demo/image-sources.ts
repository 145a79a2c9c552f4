import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failedPrecondition } from '@atoll/errors';
import { runCommand } from '@atoll/hosts';
import { CHECKOUT, findProgram } from '../cluster/checkout.ts';

const run = promisify(execFile);
const TAR_LIMIT = 64 << 20;

/** Root file system of the base image: the machine's static busybox and a link for each of its commands. */
export async function busyboxRoot(): Promise<Buffer> {
  const busybox = findProgram('busybox');
  if (!busybox) throw failedPrecondition('the base image is made of busybox: apt-get install busybox-static');
  const root = await mkdtemp(join(tmpdir(), 'atoll-demo-'));
  try {
    for (const folder of ['bin', 'etc', 'root', 'tmp', 'var']) await mkdir(join(root, folder));
    await chmod(join(root, 'tmp'), 0o1777);
    await copyFile(busybox, join(root, 'bin/busybox'));
    const names = (await runCommand(busybox, ['--list'])).split('\n').filter((name) => name && name !== 'busybox');
    for (const name of names) await symlink('busybox', join(root, 'bin', name));
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
    return await tarOf(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Build context of the web application. */
export function webContext(): Promise<Buffer> {
  return tarOf(join(CHECKOUT, 'deploy/examples/web'));
}

async function tarOf(folder: string): Promise<Buffer> {
  const args = ['--numeric-owner', '--owner=0', '--group=0', '-C', folder, '-c', '.'];
  const { stdout } = await run('tar', args, { encoding: 'buffer', maxBuffer: TAR_LIMIT });
  return stdout;
}
