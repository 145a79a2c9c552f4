import { setTimeout as sleep } from 'node:timers/promises';
import { AtollError, conflict, hasReason, reasonOf } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import { type TestPki, testPki } from '@atoll/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AllowTable,
  Channel,
  type ClientOptions,
  fetchPinnedCa,
  GrpcHost,
  type Handlers,
  type Role,
} from './index.ts';

type Definition = typeof runtimeV1.RuntimeServiceService;
const definition = runtimeV1.RuntimeServiceService;

const allow = Object.fromEntries(
  Object.keys(definition).map((name) => [name, ['gateway']]),
) as unknown as AllowTable<Definition>;

/** Counts how far an endless producer got, to see backpressure. */
let produced = 0;
let aborted = 0;
/** Slow calls that have come to their handler. */
let begun = 0;

const handlers = {
  ...(Object.fromEntries(
    Object.keys(definition).map((name) => [name, () => Promise.reject(new Error('unused'))]),
  ) as unknown as Handlers<Definition>),
  getStatus: async (request, context) => {
    if (request.containerId === 'conflict') throw conflict('container is running', { details: { hint: 'stöp' } });
    if (request.containerId === 'bug') throw new TypeError('undefined is not a function');
    if (request.containerId === 'slow') {
      begun++;
      await sleep(60_000, undefined, { signal: context.signal }).catch(() => {
        aborted++;
        context.signal.throwIfAborted();
      });
    }
    return runtimeV1.GetStatusResponse.fromPartial({ logPath: `${context.peer?.role}/${context.peer?.id}` });
  },
  logs: async function* (request, context) {
    try {
      for (let i = 0; request.tail < 0n || BigInt(i) < request.tail; i++) {
        produced = i;
        yield runtimeV1.LogsResponse.fromPartial({ data: Buffer.alloc(64 * 1024, i) });
      }
      if (request.follow) await sleep(60_000, undefined, { signal: context.signal });
    } finally {
      if (context.signal.aborted) aborted++;
    }
  },
  putArchive: async (requests) => {
    let bytes = 0;
    for await (const request of requests) if (request.message?.$case === 'data') bytes += request.message.value.length;
    if (bytes === 0) throw new AtollError('invalid-argument', 'an empty archive');
    return runtimeV1.PutArchiveResponse.fromPartial({});
  },
  attach: async function* (requests) {
    for await (const request of requests) {
      if (request.message?.$case !== 'stdin') continue;
      yield runtimeV1.AttachResponse.fromPartial({
        message: { $case: 'output', value: { data: request.message.value } },
      });
    }
  },
  startExec: async function* (requests) {
    let count = 0;
    for await (const _ of requests) count++;
    for (let i = 0; i < count; i++) {
      await sleep(5);
      yield runtimeV1.StartExecResponse.fromPartial({
        message: { $case: 'output', value: { data: Buffer.from([i]) } },
      });
    }
  },
} satisfies Handlers<Definition>;

let pki: TestPki;
let host: GrpcHost;
let address: string;
const channels: Channel[] = [];
const internalErrors: unknown[] = [];

async function channelOf(role: Role, serverRole: Role = 'node', from = pki, bulk = false): Promise<Channel> {
  const channel = new Channel({ address, tls: await from.identity(role, 'one'), serverRole, bulk });
  channels.push(channel);
  return channel;
}

beforeAll(async () => {
  pki = await testPki();
  host = new GrpcHost({
    listen: '127.0.0.1:0',
    tls: await pki.identity('node', 'n1'),
    onInternalError: (_method, error) => internalErrors.push(error),
  }).add(definition, allow, handlers);
  ({ address } = await host.start());
});

afterAll(async () => {
  for (const channel of channels) channel.close();
  await host.stop(200);
});

const WAYS: readonly (readonly [string, ClientOptions<Definition>])[] = [
  ['a call of its own', {}],
  ['a carried call', { carried: 'all' }],
];

describe.each(WAYS)('who may call: %s', (_way, options) => {
  test('a handler knows its caller', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    expect((await client.getStatus({ containerId: 'x' })).logPath).toBe('gateway/one');
  });
  test.each(['node', 'registry', 'operator'] as const)('role %s is refused', async (role) => {
    const client = (await channelOf(role)).client(definition, options);
    await expect(client.getStatus({ containerId: 'x' })).rejects.toMatchObject({ reason: 'permission-denied' });
  });
  test('a certificate of another authority is refused', async () => {
    const client = (await channelOf('gateway', 'node', await testPki())).client(definition, options);
    await expect(client.getStatus({ containerId: 'x' }, { timeoutMs: 3_000 })).rejects.toBeInstanceOf(AtollError);
  });
  test('no certificate is refused', async () => {
    const channel = new Channel({
      address,
      tls: { ca: Buffer.from(pki.authority.certificatePem) },
      serverRole: 'node',
    });
    channels.push(channel);
    await expect(
      channel.client(definition, options).getStatus({ containerId: 'x' }, { timeoutMs: 3_000 }),
    ).rejects.toBeInstanceOf(AtollError);
  });
  test('a server of another role is refused by the caller', async () => {
    const client = (await channelOf('gateway', 'registry')).client(definition, options);
    await expect(client.getStatus({ containerId: 'x' }, { timeoutMs: 3_000 })).rejects.toMatchObject({
      reason: 'unavailable',
    });
  });
  test('a method without roles cannot be served', async () => {
    const tls = await pki.identity('node', 'n2');
    const { getStatus: _left, ...fewer } = allow;
    expect(() => new GrpcHost({ listen: '127.0.0.1:0', tls }).add(definition, fewer as never, handlers)).toThrow(
      'roles',
    );
  });
});

describe('callers without a certificate', () => {
  test('anonymous callers reach only what is open to them', async () => {
    const open = new GrpcHost({
      listen: '127.0.0.1:0',
      tls: await pki.identity('scheduler', 's'),
      requireClientCertificate: false,
    });
    const { address: at } = await open.add(definition, { ...allow, getStatus: ['anonymous'] }, handlers).start();
    const anonymous = new Channel({
      address: at,
      tls: { ca: Buffer.from(pki.authority.certificatePem) },
      serverRole: 'scheduler',
    });
    const known = new Channel({ address: at, tls: await pki.identity('gateway', 'g'), serverRole: 'scheduler' });
    try {
      expect((await anonymous.client(definition).getStatus({ containerId: '' })).logPath).toBe('undefined/undefined');
      expect((await known.client(definition).getStatus({ containerId: '' })).logPath).toBe('gateway/g');
      await expect(anonymous.client(definition).resize(runtimeV1.ResizeRequest.fromPartial({}))).rejects.toMatchObject({
        reason: 'unauthenticated',
      });
      await expect(
        anonymous.client(definition, { carried: 'all' }).getStatus({ containerId: '' }),
      ).rejects.toMatchObject({ reason: 'unauthenticated' });
    } finally {
      anonymous.close();
      known.close();
      await open.stop(200);
    }
  });
});

describe.each(WAYS)('errors: %s', (_way, options) => {
  test('class, message and details arrive', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    await expect(client.getStatus({ containerId: 'conflict' })).rejects.toMatchObject({
      reason: 'conflict',
      message: 'container is running',
      details: { hint: 'stöp' },
    });
  });
  test('a bug is internal and reported at the server', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    await expect(client.getStatus({ containerId: 'bug' })).rejects.toMatchObject({ reason: 'internal' });
    expect(internalErrors.some((error) => error instanceof TypeError)).toBe(true);
  });
  test('an empty upload gives the handler its say', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    await expect(client.putArchive((async function* () {})())).rejects.toMatchObject({ reason: 'invalid-argument' });
  });
  test('an error of the upload source is what the caller sees', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    const source = (async function* (): AsyncGenerator<runtimeV1.PutArchiveRequest> {
      yield { message: { $case: 'data', value: Buffer.from('x') } };
      throw conflict('the disk went away');
    })();
    await expect(client.putArchive(source)).rejects.toMatchObject({ reason: 'conflict' });
  });
});

describe.each(WAYS)('cancelling: %s', (_way, options) => {
  test('a signal ends the call at both ends', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    const before = { aborted, begun };
    const controller = new AbortController();
    const call = client.getStatus({ containerId: 'slow' }, { signal: controller.signal });
    call.catch(() => undefined);
    await expect.poll(() => begun).toBeGreaterThan(before.begun);
    controller.abort();
    await expect(call).rejects.toSatisfy((error) => reasonOf(error) === 'cancelled');
    await expect.poll(() => aborted).toBeGreaterThan(before.aborted);
  });
  test('a deadline ends the call at both ends', async () => {
    const client = (await channelOf('gateway')).client(definition, options);
    const before = aborted;
    await expect(client.getStatus({ containerId: 'slow' }, { timeoutMs: 1_000 })).rejects.toSatisfy((error) =>
      hasReason(error, 'deadline-exceeded'),
    );
    await expect.poll(() => aborted).toBeGreaterThan(before);
  });
});

describe('carried calls', () => {
  test('are answered in the order of their ends, not of their beginnings', async () => {
    const client = (await channelOf('gateway')).client(definition, { carried: 'all' });
    const ended: string[] = [];
    const abort = new AbortController();
    const slow = client.getStatus({ containerId: 'slow' }, { signal: abort.signal }).catch(() => ended.push('slow'));
    await Promise.all(Array.from({ length: 200 }, () => client.getStatus({ containerId: 'x' })));
    ended.push('quick');
    abort.abort();
    await slow;
    expect(ended).toEqual(['quick', 'slow']);
  });
  test('a host that stops answers what is under way, and one that comes back is called again', async () => {
    const tls = await pki.identity('node', 'n4');
    const serve = (listen: string): GrpcHost => new GrpcHost({ listen, tls }).add(definition, allow, handlers);
    const first = serve('127.0.0.1:0');
    const { address: at } = await first.start();
    const channel = new Channel({ address: at, tls: await pki.identity('gateway', 'g'), serverRole: 'node' });
    channels.push(channel);
    const client = channel.client(definition, { carried: 'all' });
    await client.getStatus({ containerId: 'x' });
    const slow = client.getStatus({ containerId: 'slow' });
    // Far beyond this test's time: an idle carrier must not hold the stop until it is cancelled.
    await Promise.all([first.stop(3_600_000), expect(slow).rejects.toMatchObject({ reason: 'unavailable' })]);
    await expect(client.getStatus({ containerId: 'x' })).rejects.toMatchObject({ reason: 'unavailable' });
    const second = serve(at);
    await second.start();
    const answered = (): Promise<boolean> =>
      client.getStatus({ containerId: 'x' }).then(
        () => true,
        () => false,
      );
    await expect.poll(answered, { timeout: 10_000 }).toBe(true);
    await second.stop(200);
  });
  test('few answers of a stream arrive in order; the loop may be left', async () => {
    const client = (await channelOf('gateway')).client(definition, { carried: 'all' });
    const sizes: number[] = [];
    for await (const { data } of client.logs(runtimeV1.LogsRequest.fromPartial({ tail: 16n })))
      sizes.push(data[0] ?? -1);
    expect(sizes).toEqual(Array.from({ length: 16 }, (_, i) => i));
    const before = aborted;
    const following = client.logs(runtimeV1.LogsRequest.fromPartial({ tail: 1n, follow: true }));
    for await (const _ of following) break;
    await expect.poll(() => aborted).toBeGreaterThan(before);
  });
  test('more answers than a carrier takes are refused', async () => {
    const client = (await channelOf('gateway')).client(definition, { carried: 'all' });
    const read = async (): Promise<void> => {
      for await (const _ of client.logs(runtimeV1.LogsRequest.fromPartial({ tail: 17n })));
    };
    await expect(read()).rejects.toMatchObject({ reason: 'resource-exhausted' });
  });
  test('a method the server does not have is unimplemented', async () => {
    const foreign = { ...definition, getStatus: { ...definition.getStatus, path: '/runtime.v1.RuntimeService/Fly' } };
    const client = (await channelOf('gateway')).client(foreign as unknown as Definition, { carried: ['getStatus'] });
    await expect(client.getStatus({ containerId: 'x' })).rejects.toMatchObject({ reason: 'unimplemented' });
  });
});

describe('streams', () => {
  test('leaving the loop stops the producer', async () => {
    const client = (await channelOf('gateway')).client(definition);
    const before = aborted;
    for await (const _ of client.logs(runtimeV1.LogsRequest.fromPartial({ tail: -1n }))) break;
    await expect.poll(() => aborted).toBeGreaterThan(before);
  });
  test('stopping the host ends long streams', async () => {
    const other = new GrpcHost({ listen: '127.0.0.1:0', tls: await pki.identity('node', 'n3') }).add(
      definition,
      allow,
      handlers,
    );
    const { address: at } = await other.start();
    const channel = new Channel({ address: at, tls: await pki.identity('gateway', 'g'), serverRole: 'node' });
    channels.push(channel);
    const stream = channel.client(definition).logs(runtimeV1.LogsRequest.fromPartial({ tail: 1n, follow: true }));
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    const end = iterator.next();
    await Promise.all([other.stop(2_000), expect(end).rejects.toMatchObject({ reason: 'unavailable' })]);
  });
  test.each([
    ['of a channel', false, 32],
    ['of a channel for bulk', true, 64],
  ])('a slow reader %s holds the producer back', async (_name, bulk, pieces) => {
    const client = (await channelOf('gateway', 'node', pki, bulk)).client(definition);
    let read = 0;
    for await (const _ of client.logs(runtimeV1.LogsRequest.fromPartial({ tail: 4_000n }))) {
      if (++read === 1) {
        await sleep(300);
        expect(produced).toBeLessThan(pieces);
      }
      if (read === 600) break;
    }
  });
  test('a caller that has said everything still hears the whole answer', async () => {
    const client = (await channelOf('gateway')).client(definition);
    const said = async function* () {
      for (let i = 0; i < 3; i++) {
        yield runtimeV1.StartExecRequest.fromPartial({ message: { $case: 'stdin', value: Buffer.from([i]) } });
      }
    };
    const heard: number[] = [];
    for await (const { message } of client.startExec(said())) {
      if (message?.$case === 'output') heard.push(...message.value.data);
    }
    expect(heard).toEqual([0, 1, 2]);
  });

  test('both ways at once, in order', async () => {
    const client = (await channelOf('gateway')).client(definition);
    const source = (async function* (): AsyncGenerator<runtimeV1.AttachRequest> {
      for (let i = 0; i < 500; i++) yield { message: { $case: 'stdin', value: Buffer.from(`${i} `) } };
    })();
    let text = '';
    for await (const { message } of client.attach(source)) {
      if (message?.$case === 'output') text += Buffer.from(message.value.data).toString();
    }
    expect(text.trim().split(' ').map(Number)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });
  test('an upload of many pieces', async () => {
    const client = (await channelOf('gateway')).client(definition);
    const source = (async function* (): AsyncGenerator<runtimeV1.PutArchiveRequest> {
      for (let i = 0; i < 100; i++) yield { message: { $case: 'data', value: Buffer.alloc(256 * 1024) } };
    })();
    await client.putArchive(source);
  });
});

describe('the authority behind a token', () => {
  test('the pinned one is fetched', async () => {
    const ca = await fetchPinnedCa(address, pki.authority.fingerprint);
    expect(ca.toString().replace(/\s/g, '')).toBe(pki.authority.certificatePem.replace(/\s/g, ''));
  });
  test('another one is refused', async () => {
    await expect(fetchPinnedCa(address, '0'.repeat(64))).rejects.toMatchObject({ reason: 'permission-denied' });
  });
  test('a closed port is unavailable', async () => {
    await expect(fetchPinnedCa('127.0.0.1:1', '0'.repeat(64))).rejects.toMatchObject({ reason: 'unavailable' });
  });
});

describe('waiting for a connection', () => {
  test('is over when the server is there', async () => {
    expect(await (await channelOf('gateway')).connected(10_000)).toBe(true);
  });
  test('is over when the time is, without a server', async () => {
    const tls = await pki.identity('gateway', 'one');
    const channel = new Channel({ address: '127.0.0.1:1', tls, serverRole: 'node' });
    channels.push(channel);
    expect(await channel.connected(200)).toBe(false);
  });
});
