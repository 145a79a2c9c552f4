import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { unavailable } from '@atoll/errors';
import { BUNDLE_FILE } from './bundle.ts';

/**
 * Connects to the control socket of a bundle. Goes through a descriptor of the folder, as the
 * path of a unix socket may be no longer than 107 bytes.
 */
export async function connectShim(bundle: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const folder = await open(bundle, 'r').catch((error: unknown) => {
    throw unavailable(`no bundle at ${bundle}`, { cause: error });
  });
  const socket = createConnection({ path: `/proc/self/fd/${folder.fd}/${BUNDLE_FILE.socket}` });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw error;
    throw unavailable(`no shim answers in ${bundle}`, { cause: error });
  } finally {
    await folder.close();
  }
}
