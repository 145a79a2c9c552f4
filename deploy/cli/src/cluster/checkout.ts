import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { failedPrecondition } from '@atoll/errors';

/** Root of the checkout (or installation) this command runs from. */
export const CHECKOUT = join(import.meta.dirname, '../../../..');

/** What Node runs for a service: its bundle when the launcher made some (`ATOLL_BUNDLES`), else the built package. */
export function serviceEntry(service: string): string {
  const bundles = process.env['ATOLL_BUNDLES'];
  return bundles ? join(bundles, `${service}.js`) : join(CHECKOUT, 'services', service, 'dist', 'main.js');
}

export const SHIM = join(CHECKOUT, 'services/node-agent/native/build/atoll-shim');

/** `ATOLL_NATS_SERVER`, the tools folder of the checkout, then PATH. Errors: failed-precondition when there is none. */
export function natsServer(): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  const candidates = [
    process.env['ATOLL_NATS_SERVER'],
    join(CHECKOUT, '.tools/nats/usr/sbin/nats-server'),
    join(CHECKOUT, '.tools/nats/usr/bin/nats-server'),
    ...folders.map((folder) => join(folder, 'nats-server')),
  ];
  const found = candidates.find((path) => path !== undefined && isExecutable(path));
  if (!found) throw failedPrecondition('nats-server is missing: ./atoll fetches it, or put version 2.10+ on the PATH');
  return found;
}

export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
