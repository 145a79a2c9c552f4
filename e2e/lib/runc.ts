import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

const PLACES = [join(import.meta.dirname, '../../.tools/runc/usr/sbin/runc'), '/usr/sbin/runc', '/usr/bin/runc'];

/** Where `./atoll test` has unpacked Debian's, else that of the machine. */
export function runcPath(): string {
  for (const path of PLACES) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new Error('no runc: `./atoll test` unpacks it into .tools/runc, or apt-get install runc');
}
