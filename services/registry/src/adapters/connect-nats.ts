import { readFile } from 'node:fs/promises';
import { type Bus, connectBus } from '@atoll/bus';
import { invalidArgument } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { z } from 'zod';
import type { RegistryConfig } from '../config.ts';

const credentialsSchema = z.object({ user: z.string(), password: z.string() });

/** The connection a configuration describes. Errors: invalid-argument (credentials file). */
export async function connectNats(config: RegistryConfig, logger: Logger): Promise<Bus> {
  const { ATOLL_NATS_CREDENTIALS: path, ATOLL_NATS_URL: servers } = config;
  const credentials = path === undefined ? undefined : await readCredentials(path);
  return await connectBus({
    servers,
    name: 'registry',
    log: logger,
    ...(credentials === undefined ? {} : { credentials }),
  });
}

async function readCredentials(path: string) {
  const result = credentialsSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (result.success) return result.data;
  throw invalidArgument(`${path} has to be JSON with user and password`);
}
