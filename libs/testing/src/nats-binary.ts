import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { failedPrecondition } from '@atoll/errors';

/** Path of the nats-server to test with: `ATOLL_NATS_SERVER`, the checkout's tools folder, then PATH. */
export function natsBinary(): string {
  const root = join(import.meta.dirname, '../../..');
  const candidates = [
    process.env['ATOLL_NATS_SERVER'],
    join(root, '.tools/nats/usr/sbin/nats-server'),
    join(root, '.tools/nats/usr/bin/nats-server'),
    ...[...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'].map((folder) => join(folder, 'nats-server')),
  ];
  const found = candidates.find((path): path is string => path !== undefined && path !== '' && isExecutable(path));
  if (!found) throw failedPrecondition('no nats-server found: run ./atoll doctor, it fetches one into .tools/nats');
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
