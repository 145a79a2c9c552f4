import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { choosePorts, PORT_USERS } from './choose-ports.ts';

const taken = createServer();
afterEach(() => new Promise((resolve) => taken.close(resolve)));

test('everybody gets a port of their own; one that is taken is replaced unless others were told of it', async () => {
  await new Promise<void>((resolve) => taken.listen(0, '0.0.0.0', resolve));
  const { port } = taken.address() as { port: number };
  const chosen = await choosePorts({ scheduler: port }, { told: false, usual: { registry: port } });
  expect(new Set(Object.values(chosen)).size).toBe(PORT_USERS.length);
  expect(chosen['scheduler']).not.toBe(port);
  expect((await choosePorts({ scheduler: port }, { told: true, usual: {} }))['scheduler']).toBe(port);
  expect(await choosePorts(chosen, { told: true, usual: {} })).toEqual(chosen);
});
