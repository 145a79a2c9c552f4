import { chmod, chown, lstat, mkdir, readFile, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { conflict } from '@atoll/errors';

const MODE = 0o660;
const GROUP = 'docker';

/**
 * Listens on a unix socket that only its owner and the group `docker` (when the machine has it) may use: whoever can write to
 * it is root on the hosts. A socket nobody answers on any more is replaced.
 * @throws conflict when another process serves it, or the path is something else
 */
export async function listenSocket(server: Server, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within this call: no moment with wider rights.
    const before = process.umask(0o777 & ~MODE);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
  await chmod(path, MODE);
  const gid = await groupId(GROUP);
  if (gid !== undefined && process.getuid?.() === 0) await chown(path, 0, gid);
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw conflict(`${path} exists and is not a socket: move it away or choose another path`);
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) throw conflict(`${path} is served by another process: stop it or choose another path`);
  await unlink(path);
}

async function groupId(name: string): Promise<number | undefined> {
  const groups = await readFile('/etc/group', 'utf8').catch(() => '');
  const line = groups.split('\n').find((entry) => entry.startsWith(`${name}:`));
  const gid = Number(line?.split(':')[2]);
  return Number.isInteger(gid) ? gid : undefined;
}
