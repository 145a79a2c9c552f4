import { createServer } from 'node:net';

export const PORT_USERS = ['nats', 'scheduler', 'registry', 'registry-http', 'image-builder', 'gateway'] as const;

/** A free port for each user of one; those in `kept` stay. */
export async function choosePorts(kept: Readonly<Record<string, number>>): Promise<Readonly<Record<string, number>>> {
  const wanted = PORT_USERS.filter((name) => kept[name] === undefined);
  // All are held at the same time, so that no two get the same one.
  const servers = await Promise.all(wanted.map(listen));
  const chosen = servers.map(
    (server, n) => [wanted[n] as string, (server.address() as { port: number }).port] as const,
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return { ...kept, ...Object.fromEntries(chosen) };
}

function listen(): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '0.0.0.0', () => resolve(server));
  });
}
