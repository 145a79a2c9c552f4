import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason, unavailable } from '@atoll/errors';
import type { Descriptor } from '@atoll/oci';
import type { BytesFrom } from '../../domain/remote/remote-repository.ts';
import type { HttpRequest } from './http-client.ts';
import { remoteError } from './remote-error.ts';

type Send = (request: HttpRequest, body?: () => Promise<HttpRequest['body']>) => Promise<Response>;

const TRIES = 5;

/** Uploads one blob in a session; after a broken transfer the registry is asked how far it came. */
export async function uploadBlob(base: string, blob: Descriptor, read: BytesFrom, send: Send): Promise<void> {
  let location = await begin(base, send);
  let offset = 0;
  for (let tries = 1; offset < blob.size; tries += 1) {
    try {
      const response = await send(
        {
          method: 'PATCH',
          url: location,
          headers: { 'Content-Type': 'application/octet-stream', 'Content-Range': `${offset}-${blob.size - 1}` },
        },
        () => read(offset),
      );
      if (response.status !== 202) throw await remoteError(response, 'BLOB_UNKNOWN');
      await response.body?.cancel();
      location = locationOf(response, location);
      offset = blob.size;
    } catch (error) {
      if (tries >= TRIES || !hasReason(error, 'unavailable', 'deadline-exceeded')) throw error;
      await sleep(100 * 2 ** tries);
      ({ location, offset } = await progress(location, send));
    }
  }
  const url = new URL(location);
  url.searchParams.set('digest', blob.digest);
  const response = await send({ method: 'PUT', url: url.href, headers: {}, body: new Uint8Array() });
  if (response.status !== 201) throw await remoteError(response, 'BLOB_UNKNOWN');
  await response.body?.cancel();
}

async function begin(base: string, send: Send): Promise<string> {
  const url = `${base}/blobs/uploads/`;
  const response = await send({ method: 'POST', url, headers: {}, body: new Uint8Array() });
  if (response.status !== 202) throw await remoteError(response, 'NAME_UNKNOWN');
  await response.body?.cancel();
  return locationOf(response, url);
}

async function progress(location: string, send: Send): Promise<{ location: string; offset: number }> {
  const response = await send({ method: 'GET', url: location, headers: {} });
  if (response.status !== 204) throw await remoteError(response, 'BLOB_UNKNOWN');
  const last = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1];
  // An empty session is reported as 0-0 by most registries: nothing tells it from one byte, so it starts again.
  const offset = last === undefined || last === '0' ? 0 : Number(last) + 1;
  return { location: locationOf(response, location), offset };
}

function locationOf(response: Response, before: string): string {
  const location = response.headers.get('location');
  if (location === null) {
    if (response.status === 204) return before;
    throw unavailable(`${new URL(before).host} began an upload without saying where`);
  }
  return new URL(location, before).href;
}
