import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { unlessMissing } from '../files/missing.ts';
import type { BundleFile } from '../runtime/launch-shim.ts';
import type { Endpoint } from './host-network.ts';

const schema = z.object({
  address: z.ipv4(),
  prefixLength: z.number(),
  gateway: z.ipv4(),
  macAddress: z.string(),
  // Of before containers could join the default bridge while they run.
  interfaceName: z.string().default('eth0'),
});

const NAME = 'endpoint';

/**
 * Notes a container's address before its shim has it: an agent that dies in between must not give it to another. Empty without an
 * address, which takes the note of an earlier run away.
 */
export function endpointFile(endpoint: Endpoint | undefined): BundleFile {
  return { name: NAME, mode: 0o600, bytes: Buffer.from(endpoint ? JSON.stringify(endpoint) : '') };
}

/** The same for a container whose place changes while it is prepared or runs. */
export async function noteEndpoint(bundle: string, endpoint: Endpoint | undefined): Promise<void> {
  const { name, mode, bytes } = endpointFile(endpoint);
  await writeFileAtomic(join(bundle, name), bytes, { mode, durable: false });
}

/** Undefined when the container has no address. */
export async function readEndpoint(bundle: string): Promise<Endpoint | undefined> {
  const text = await unlessMissing(readFile(join(bundle, NAME), 'utf8'));
  return text ? schema.parse(JSON.parse(text)) : undefined;
}
