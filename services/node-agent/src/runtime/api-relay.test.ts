import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame } from './frames.ts';
import { FrameParser } from './frames.ts';
import type { PreparedContainer } from './launch-shim.ts';
import type { ContainerPlan } from './plan.ts';
import { type PlanChanges, TestHost } from './testing/test-host.ts';
import { USER_NAMESPACE_MODES } from './testing/user-namespace-modes.ts';

const FRAME = { hello: 1, data: 2, end: 3 };

/** The agent's side of the relay: what comes is collected, what the test writes goes back. */
class Agent {
  readonly path: string;
  readonly connections: Relayed[] = [];
  #server: Server | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async start(onConnection: (relayed: Relayed) => void = () => undefined): Promise<void> {
    await rm(this.path, { force: true });
    this.connections.length = 0;
    const server = createServer((socket) => {
      const relayed = new Relayed(socket);
      this.connections.push(relayed);
      onConnection(relayed);
    });
    this.#server = server;
    server.listen(this.path);
    await once(server, 'listening');
  }

  /** As a killed agent: its connections break, its socket's file stays. */
  async stop(): Promise<void> {
    for (const { socket } of this.connections.splice(0)) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server?.listening) await new Promise((resolve) => server.close(resolve));
  }
}

class Relayed {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  /** Of data, also of frames that were not kept. */
  bytes = 0;
  closed = false;
  onFrame: (frame: Frame) => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    const parser = new FrameParser();
    socket
      .on('error', () => undefined)
      .on('close', () => {
        this.closed = true;
      });
    socket.on('data', (chunk: Buffer) => {
      for (const frame of parser.push(chunk)) {
        if (frame.type === FRAME.data) this.bytes += frame.payload.length;
        if (this.frames.length < 100) this.frames.push({ type: frame.type, payload: Buffer.from(frame.payload) });
        this.onFrame(frame);
      }
    });
  }

  get types(): number[] {
    return this.frames.map(({ type }) => type);
  }

  get text(): string {
    return Buffer.concat(
      this.frames.filter(({ type }) => type === FRAME.data).map(({ payload }) => payload),
    ).toString();
  }
}

class Client {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (part: Buffer) => {
      this.received = Buffer.concat([this.received, part]);
    });
    socket.on('end', () => {
      this.ended = true;
    });
  }

  static async to(path: string): Promise<Client> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    return new Client(socket);
  }
}

const descriptors = ({ shim }: PreparedContainer): number => readdirSync(`/proc/${shim.pid}/fd`).length;

describe.each(USER_NAMESPACE_MODES)('a container with the API socket, %s user namespaces', (mode) => {
  let host: TestHost;
  let agent: Agent;

  beforeAll(async () => {
    host = await TestHost.create(mode);
    await mkdir(join(host.folder, 'api'));
    agent = new Agent(join(host.folder, 'api/api.sock'));
  });
  afterAll(async () => {
    await agent.stop();
    await host[Symbol.asyncDispose]();
  });

  const changes = (bundle: string, readOnly = false): PlanChanges => {
    const base = host.plan(bundle, ['x']);
    const source = join(bundle, 'docker.sock');
    const mount = {
      kind: 'bind' as const,
      source,
      target: '/var/run/docker.sock',
      flags: readOnly ? (['ro'] as const) : [],
      recursive: false,
      propagation: 'rprivate' as const,
      idmapped: true,
    };
    return { plan: { mounts: [...base.mounts, mount], api: '../api/api.sock' } };
  };

  /** The listener is the same one from outside: most cases need no program inside. */
  async function running(
    body: (socket: string, container: PreparedContainer, plan: ContainerPlan) => Promise<void>,
    readOnly = false,
  ): Promise<void> {
    const bundle = await host.bundle();
    const plan = host.plan(bundle, ['sleep', '60'], changes(bundle, readOnly));
    const container = await host.launch(bundle, plan);
    await container.client.start(host.signal);
    try {
      await body(join(bundle, 'docker.sock'), container, plan);
    } finally {
      await container.client.kill(9, 'init', host.signal).catch(() => undefined);
      await container.client.closed;
    }
  }

  it.each([
    ['writable', false],
    ['read-only', true],
  ])('it belongs to the root inside, with mode 0660, and answers, mounted %s', async (_name, readOnly) => {
    await agent.start((relayed) => {
      relayed.onFrame = ({ type, payload }) => {
        if (type === FRAME.data) relayed.socket.end(`answer to ${payload.toString()}`);
      };
    });
    await running(async (_socket, container, plan) => {
      const inside = await host.exec(plan, container, ['stat', '-c', '%u:%g %a %F', '/var/run/docker.sock']);
      expect(inside.stdout.trim()).toBe('0:0 660 socket');
      const asked = await host.exec(plan, container, ['probe', 'ask', '/var/run/docker.sock', 'a question']);
      expect(asked.stdout).toBe('answer to a question');
      const stranger = await host.exec(plan, container, ['probe', 'ask', '/var/run/docker.sock', 'x'], {
        user: { kind: 'ids', uid: 1000, gid: 1000 },
      });
      expect(stranger.stdout.trim()).toBe('EACCES');
      expect(agent.connections.map(({ frames }) => frames[0]?.payload.toString())).toEqual([plan.id]);
    }, readOnly);
    await agent.stop();
  });

  it('carries half-closes both ways', async () => {
    await agent.start();
    await running(async (socket) => {
      const client = await Client.to(socket);
      client.socket.end('all of the question');
      await expect.poll(() => agent.connections[0]?.types.at(-1)).toBe(FRAME.end);
      const relayed = agent.connections[0] as Relayed;
      expect(relayed.text).toBe('all of the question');
      relayed.socket.write('an answer');
      await expect.poll(() => client.received.toString()).toBe('an answer');
      expect(client.ended).toBe(false);
      relayed.socket.end(' and its end');
      await expect.poll(() => client.ended).toBe(true);
      expect(client.received.toString()).toBe('an answer and its end');
      await expect.poll(() => relayed.closed).toBe(true);
    });
    await agent.stop();
  });

  it('a client that is gone ends without the frame of a half-close, what it had sent before it', async () => {
    await agent.start();
    await running(async (socket) => {
      const client = await Client.to(socket);
      client.socket.write('x'.repeat(300_000), () => client.socket.destroy());
      await expect.poll(() => agent.connections[0]?.closed).toBe(true);
      expect(agent.connections[0]?.bytes).toBe(300_000);
      expect(agent.connections[0]?.types).not.toContain(FRAME.end);
    });
    await agent.stop();
  });

  it('holds up whoever sends more than the other side takes, and loses nothing', async () => {
    const size = 8_000_000;
    await agent.start((relayed) => relayed.socket.pause());
    await running(async (socket) => {
      const client = await Client.to(socket);
      let sent = false;
      client.socket.write(Buffer.alloc(size, 'u'), () => {
        sent = true;
      });
      await expect.poll(() => agent.connections.length).toBe(1);
      await sleep(200);
      expect(sent).toBe(false);
      const relayed = agent.connections[0] as Relayed;
      relayed.socket.resume();
      await expect.poll(() => relayed.bytes, { timeout: 20_000 }).toBe(size);
      client.socket.pause();
      let answered = false;
      relayed.socket.write(Buffer.alloc(size, 'd'), () => {
        answered = true;
      });
      await sleep(200);
      expect(answered).toBe(false);
      client.socket.resume();
      await expect.poll(() => client.received.length, { timeout: 20_000 }).toBe(size);
      expect(client.received.equals(Buffer.alloc(size, 'd'))).toBe(true);
    });
    await agent.stop();
  });

  it('what connects while the agent is away waits for the next one', async () => {
    await agent.start();
    await running(async (socket) => {
      const before = await Client.to(socket);
      before.socket.write('before');
      await expect.poll(() => agent.connections[0]?.text).toBe('before');
      await agent.stop();
      await expect.poll(() => before.ended).toBe(true);
      const client = await Client.to(socket);
      client.socket.write('meanwhile');
      await sleep(250);
      await agent.start();
      await expect.poll(() => agent.connections[0]?.text).toBe('meanwhile');
      expect(agent.connections).toHaveLength(1);
    });
    await agent.stop();
  });

  it('serves 128 at once; more wait for a place', async () => {
    await agent.start((relayed) => {
      relayed.onFrame = ({ type }) => {
        if (type === FRAME.data) relayed.socket.write('here');
      };
    });
    await running(async (socket, container) => {
      const idle = descriptors(container);
      const clients = await Promise.all(Array.from({ length: 150 }, () => Client.to(socket)));
      for (const client of clients) client.socket.write('?');
      const served = (): Client[] => clients.filter(({ received }) => received.length > 0);
      await expect.poll(() => served().length).toBe(128);
      await sleep(200);
      expect(served()).toHaveLength(128);
      for (const client of served().slice(0, 22)) client.socket.destroy();
      await expect.poll(() => served().length).toBe(150);
      for (const client of clients) client.socket.destroy();
      await expect.poll(() => descriptors(container)).toBe(idle);
    });
    await agent.stop();
  });

  it('its end ends all connections', async () => {
    await agent.start();
    const clients: Client[] = [];
    await running(async (socket) => {
      for (let count = 0; count < 5; count++) clients.push(await Client.to(socket));
      await expect.poll(() => agent.connections.length).toBe(5);
    });
    await expect.poll(() => clients.every(({ ended }) => ended)).toBe(true);
    await expect.poll(() => agent.connections.every(({ closed }) => closed)).toBe(true);
    await agent.stop();
  });

  it('starts again with a socket of its own', async () => {
    const bundle = await host.bundle();
    await agent.start();
    for (let run = 0; run < 2; run++) {
      const { client } = await host.launch(bundle, host.plan(bundle, ['true'], changes(bundle)));
      await client.start(host.signal);
      await client.closed;
      // It stays: copies from an ended container bind it.
      expect((await stat(join(bundle, 'docker.sock'))).isSocket()).toBe(true);
    }
    await agent.stop();
    expect(await host.leftovers()).toEqual([]);
  });
});

it('a container without it has no socket', async () => {
  await using host = await TestHost.create();
  const bundle = await host.bundle();
  const { client } = await host.launch(bundle, host.plan(bundle, ['true']));
  expect(existsSync(join(bundle, 'docker.sock'))).toBe(false);
  await client.start(host.signal);
  await client.closed;
});
