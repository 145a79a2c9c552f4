import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BUSYBOX = '/bin/busybox';

/** Root file system of a busybox image as a tar, made of the machine's static busybox (Debian's busybox-static). */
export function busyboxRootfs(): Buffer {
  const root = mkdtempSync(join(tmpdir(), 'atoll-e2e-rootfs-'));
  try {
    for (const folder of ['bin', 'etc', 'tmp', 'root', 'home', 'var', 'usr/bin', 'www'])
      mkdirSync(join(root, folder), { recursive: true });
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
    const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n');
    for (const applet of applets) if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/www:/bin/sh\n');
    writeFileSync(join(root, 'etc/group'), 'root:x:0:\nwww:x:33:\nextra:x:44:www\n');
    execFileSync('tar', ['--numeric-owner', '--owner=0', '--group=0', '-C', root, '-cf', `${root}.tar`, '.']);
    return readFileSync(`${root}.tar`);
  } finally {
    rmSync(root, { recursive: true, force: true });
    rmSync(`${root}.tar`, { force: true });
  }
}
