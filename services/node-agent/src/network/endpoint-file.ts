import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { unlessMissing } from '../files/missing.ts';
import type { Endpoint } from './host-network.ts';

const schema = z.object({
  address: z.ipv4(),
  prefixLength: z.number(),
  gateway: z.ipv4(),
  macAddress: z.string(),
});

/**
 * Notes a container's address before its shim has it: an agent that dies in between must not give it to another. Undefined
 * takes the note of an earlier run away.
 */
export async function writeEndpoint(bundle: string, endpoint: Endpoint | undefined): Promise<void> {
  const path = join(bundle, 'endpoint');
  if (endpoint) await writeFile(path, JSON.stringify(endpoint), { mode: 0o600 });
  else await rm(path, { force: true });
}

/** Undefined when the container has no address. */
export async function readEndpoint(bundle: string): Promise<Endpoint | undefined> {
  const text = await unlessMissing(readFile(join(bundle, 'endpoint'), 'utf8'));
  return text === undefined ? undefined : schema.parse(JSON.parse(text));
}
