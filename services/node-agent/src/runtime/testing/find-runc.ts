import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

const CHECKOUT = join(import.meta.dirname, '../../../../..');
/** Where the launcher unpacks Debian's, then the path of the system. */
const PLACES = [join(CHECKOUT, '.tools/runc/usr/sbin/runc'), '/usr/sbin/runc', '/usr/bin/runc'];

/** The path of an OCI runtime that is not ours. */
export function findRunc(): string {
  for (const path of PLACES) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new Error('these tests need runc: `./atoll test` unpacks it into .tools/runc, or apt-get install runc');
}
