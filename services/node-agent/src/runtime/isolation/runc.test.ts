import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findRunc } from '../testing/find-runc.ts';
import { buildProbe, busyboxPath, requireRoot } from '../testing/shim-binary.ts';

let runc: string;
let folder: string;
beforeAll(async () => {
  requireRoot();
  runc = findRunc();
  folder = await mkdtemp(join(tmpdir(), 'atoll-runc-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Bundle {
  readonly path: string;
  readonly rootfs: string;
}

/** A bundle as `runc spec` makes it, with busybox; no terminal, no network. */
async function makeBundle(name: string, args: readonly string[], withDev: boolean): Promise<Bundle> {
  const path = join(folder, name);
  const rootfs = join(path, 'rootfs');
  await mkdir(join(rootfs, 'bin'), { recursive: true });
  await copyFile(busyboxPath(), join(rootfs, 'bin/busybox'));
  await copyFile(buildProbe(), join(rootfs, 'bin/probe'));
  await chmod(join(rootfs, 'bin/busybox'), 0o755);
  for (const applet of ['sh', 'cat', 'stat', 'ls']) await symlink('busybox', join(rootfs, 'bin', applet));
  execFileSync(runc, ['spec'], { cwd: path });
  const spec = JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as Spec;
  spec.process.terminal = false;
  spec.process.args = [...args];
  spec.root.readonly = false;
  if (!withDev) spec.mounts = spec.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
  await writeFile(join(path, 'config.json'), JSON.stringify(spec));
  return { path, rootfs };
}

interface Spec {
  root: { readonly: boolean };
  process: { terminal: boolean; args: string[] };
  mounts: { destination: string }[];
}

function run({ path }: Bundle): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const id = `atoll-test-${randomBytes(6).toString('hex')}`;
  const state = ['--root', join(folder, 'state')];
  const result = spawnSync(runc, [...state, 'run', id], {
    cwd: path,
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  spawnSync(runc, [...state, 'delete', '--force', id]);
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

// The attacks of kernel-files.test.ts, on a runtime that has the faults: they must work here, or they show nothing there.
describe('control: runc 1.1', () => {
  it('runs a plain bundle', async () => {
    const bundle = await makeBundle('plain', ['sh', '-c', 'echo up'], true);
    expect(run(bundle)).toMatchObject({ code: 0, stdout: 'up\n' });
  });

  it('E07: masks with the file that the image has as /dev/null', async () => {
    const bundle = await makeBundle('e07', ['sh', '-c', 'echo through the mask >/proc/keys'], false);
    await mkdir(join(bundle.rootfs, 'dev'));
    await writeFile(join(bundle.rootfs, 'dev/null'), 'trap');
    expect(run(bundle).code).toBe(0);
    // It takes this file for the null device in other places too: nothing may be read from it here into standard output.
    expect(await readFile(join(bundle.rootfs, 'dev/null'), 'utf8')).toBe('through the mask\n');
  });

  it('E10: makes links in the folder that the /dev of the image leads to', async () => {
    const canary = join(folder, 'canary');
    await mkdir(canary);
    const bundle = await makeBundle('e10', ['sh', '-c', 'true'], false);
    await symlink(canary, join(bundle.rootfs, 'dev'));
    run(bundle);
    expect(await readdir(canary)).not.toEqual([]);
  });
});
