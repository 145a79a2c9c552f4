import { type AddressInfo, createServer, type Server } from 'node:net';
import { resourceExhausted } from '@atoll/errors';

export const PORT_USERS = ['nats', 'scheduler', 'registry', 'registry-http', 'image-builder', 'gateway'] as const;

/** Those that other machines are told. */
const TOLD: readonly string[] = ['scheduler', 'registry', 'image-builder', 'gateway'];

/**
 * A port for each user of one: that of last time if it is free, else the usual one if that is free, else any.
 * With `told`, ports that other machines know stay in any case.
 */
export async function choosePorts(
  last: Readonly<Record<string, number>>,
  options: { readonly told: boolean; readonly usual: Readonly<Record<string, number>> },
): Promise<Readonly<Record<string, number>>> {
  const ports: Record<string, number> = {};
  const servers: Server[] = [];
  // All are held until the last is found, so that no two users get the same one.
  for (const name of PORT_USERS) {
    const before = last[name];
    if (options.told && before !== undefined && TOLD.includes(name)) {
      ports[name] = before;
      continue;
    }
    const server = (await listen(before)) ?? (await listen(options.usual[name])) ?? (await listen(0));
    if (!server) throw resourceExhausted('no free TCP port on this machine');
    servers.push(server);
    ports[name] = (server.address() as AddressInfo).port;
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(port: number | undefined): Promise<Server | undefined> {
  if (port === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined)).listen(port, '0.0.0.0', () => resolve(server));
  });
}
