import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createLogger } from '@atoll/logging';
import { containerV1, networkV1 } from '@atoll/proto';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserNetwork } from '../user/user-network.ts';
import { answers, decodeQuery, encodeAnswer, formatError, isTruncated, RCODE } from './dns-message.ts';
import { Forwarder, framed } from './forwarder.ts';
import { addressOfReverse } from './name-lookup.ts';
import { Responder } from './responder.ts';

/** As it is; the declared type lacks the code's name. */
type Decoded = DecodedPacket & { readonly rcode: string };

const ids = { me: '1'.repeat(64), db: '2'.repeat(64), off: '3'.repeat(64), web: '4'.repeat(64) };
const net = (letter: string, more: object = {}): UserNetwork => {
  const record = networkV1.NetworkRecord.fromPartial({ id: letter.repeat(64), name: `net-${letter}`, vni: 5, ...more });
  const underlay = () => ({ address: '10.0.0.1', mtu: 1500, encapsulation: 50 });
  return new UserNetwork(record, { nodeId: 'n', underlay });
};
const member = (containerId: string, names: readonly string[], number: number, more: object = {}) => ({
  containerId,
  names: [...names],
  ipv4Address: `10.9.0.${number}`,
  macAddress: '02:42:00:00:00:01',
  running: true,
  ...more,
});

const a = net('a');
const b = net('b');
const inner = net('c', { internal: true });
const networks = new Map([a, b, inner].map((one) => [one.record.id, one]));
a.apply(
  networkV1.NetworkState.fromPartial({
    complete: true,
    members: [
      member(ids.me, ['me'], 2),
      member(ids.db, ['DB', '222222222222', 'store'], 3, { ipv6Address: 'fd00::3' }),
      member(ids.web, ['web', 'store'], 4),
      member(ids.off, ['off'], 5, { running: false }),
    ],
  }),
);
b.apply(networkV1.NetworkState.fromPartial({ complete: true, members: [member(ids.web, ['web'], 44)] }));
inner.apply(networkV1.NetworkState.fromPartial({ complete: true, members: [member(ids.db, ['db'], 33)] }));

function record(mode: string, ...places: [UserNetwork, object?][]): containerV1.ContainerRecord {
  return containerV1.ContainerRecord.fromPartial({
    id: ids.me,
    spec: { network: { mode, dns: ['127.0.0.1'] } },
    endpoints: places.map(
      ([
        {
          record: { id },
        },
        asked,
      ]) => ({ networkId: id, asked }),
    ),
  });
}

let upstream: Upstream;
beforeAll(async () => {
  upstream = await Upstream.start();
});
afterAll(() => upstream.stop());

/** A name server that knows `x.outside`, and `big.outside` whose answer fits no datagram. */
class Upstream {
  readonly asked: string[] = [];
  readonly #datagrams: Socket;
  readonly #streams: Server;
  readonly port: number;

  private constructor(datagrams: Socket, streams: Server) {
    this.#datagrams = datagrams;
    this.#streams = streams;
    this.port = (streams.address() as AddressInfo).port;
    datagrams.on('message', (message, peer) => {
      const name = decode(message).questions?.[0]?.name ?? '';
      this.asked.push(name);
      if (name === 'silent.outside') return;
      // Somebody's guess first: another id, then another question.
      for (const forged of [encodeFor(message, 'forged', { id: 1 }), encodeFor(message, 'forged', { name: 'other' })])
        datagrams.send(forged, peer.port, peer.address);
      datagrams.send(encodeFor(message, 'datagram'), peer.port, peer.address);
    });
    streams.on('connection', (socket) => {
      socket.once('data', (piece) => socket.end(framed(encodeFor(piece.subarray(2), 'stream'))));
    });
  }

  static async start(): Promise<Upstream> {
    const streams = createServer().listen(0, '127.0.0.1');
    await once(streams, 'listening');
    const datagrams = createSocket('udp4').bind((streams.address() as AddressInfo).port, '127.0.0.1');
    await once(datagrams, 'listening');
    return new Upstream(datagrams, streams);
  }

  stop(): void {
    this.#datagrams.close();
    this.#streams.close();
  }
}

function encodeFor(message: Buffer, how: string, other: { id?: number; name?: string } = {}): Buffer {
  const query = decode(message);
  const name = query.questions?.[0]?.name ?? '';
  const big = name === 'big.outside';
  const count = big && how === 'stream' ? 300 : 1;
  return encode({
    type: 'response',
    id: (query.id ?? 0) ^ (other.id ?? 0),
    flags: big && how === 'datagram' ? 0x200 : 0,
    questions: [{ type: 'A', name: other.name ?? name }],
    answers: Array.from({ length: count }, (_, index) => ({
      type: 'A' as const,
      name,
      ttl: 60,
      data: how === 'forged' ? '6.6.6.6' : `192.0.${index >> 8}.${index & 255}`,
    })),
  });
}

function responder(own: containerV1.ContainerRecord | undefined, more: object = {}): Responder {
  return new Responder({
    networks,
    container: () => own,
    logger: createLogger({ service: 'test', level: 'silent' }),
    forwarder: new Forwarder({ port: upstream.port, serverMs: 300, ...more }),
  });
}

async function ask(
  own: containerV1.ContainerRecord | undefined,
  name: string,
  type = 'A',
  more: { stream?: boolean; edns?: number } = {},
): Promise<Decoded> {
  const additionals = more.edns ? [{ type: 'OPT' as const, name: '.', udpPayloadSize: more.edns }] : [];
  const query = encode({
    type: 'query',
    id: 77,
    flags: 0x100,
    questions: [{ type: type as 'A', name }],
    additionals: additionals as never,
  });
  const answer = await responder(own).answer(ids.me, query, more.stream ?? false, () => true);
  return decode(answer as Buffer) as unknown as Decoded;
}

const data = (packet: Packet): string[] =>
  (packet.answers ?? []).map((one) => ('data' in one ? String(one.data) : '')).sort();

describe('names of networks', () => {
  const own = (): containerV1.ContainerRecord =>
    record('net-a', [a, { links: [{ container: 'db', alias: 'link' }] }], [b]);
  test.each([
    ['a name', 'db', 'A', ['10.9.0.3']],
    ['in other letters', 'Db', 'A', ['10.9.0.3']],
    ['the short id', '222222222222', 'A', ['10.9.0.3']],
    ['by IPv6', 'db', 'AAAA', ['fd00::3']],
    ['an alias of two', 'store', 'A', ['10.9.0.3', '10.9.0.4']],
    ['with its network', 'web.net-b', 'A', ['10.9.0.44']],
    ['in two networks: the first by priority and order', 'web', 'A', ['10.9.0.4']],
    ['a link', 'link', 'A', ['10.9.0.3']],
    ['reverse', '3.0.9.10.in-addr.arpa', 'PTR', ['DB.net-a']],
    ['reverse by IPv6', `3.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`, 'PTR', ['DB.net-a']],
  ])('%s', async (_what, name, type, want) => {
    const answer = await ask(own(), name, type);
    expect(answer.rcode).toBe('NOERROR');
    expect(data(answer)).toEqual(want);
  });

  test.each([
    ['no IPv6 address: no answer, and nobody else is asked', 'web', 'AAAA', 'NOERROR'],
    ['another kind of data', 'db', 'MX', 'NOERROR'],
    ['one that does not run', 'off', 'A', 'NXDOMAIN'],
  ])('%s', async (_what, name, type, rcode) => {
    const before = upstream.asked.length;
    const answer = await ask(own(), name, type);
    expect([answer.rcode, data(answer), upstream.asked.length]).toEqual([rcode, [], before]);
  });

  test('a link is known to the container that has it only', async () => {
    expect((await ask(record('net-a', [a]), 'link')).answers?.map((one) => 'data' in one && one.data)).toEqual([
      '192.0.0.0',
    ]);
  });

  test('a container nobody knows is refused', async () => {
    expect((await ask(undefined, 'db')).rcode).toBe('REFUSED');
  });
});

describe('other names', () => {
  test('go to the name servers, whose forgers are not heard', async () => {
    const answer = await ask(record('net-a', [a]), 'x.outside');
    expect([answer.id, data(answer)]).toEqual([77, ['192.0.0.0']]);
  });
  test('of a container with internal networks only go nowhere', async () => {
    const before = upstream.asked.length;
    expect((await ask(record('net-c', [inner]), 'x.outside')).rcode).toBe('NXDOMAIN');
    expect(data(await ask(record('net-c', [inner]), 'db'))).toEqual(['10.9.0.33']);
    expect(upstream.asked.length).toBe(before);
  });
  test('of a container that is also on the default bridge go out', async () => {
    expect(data(await ask(record('bridge', [inner]), 'x.outside'))).toEqual(['192.0.0.0']);
  });
  test('with an answer that fits no datagram are asked for by TCP', async () => {
    const own = record('net-a', [a]);
    const short = await ask(own, 'big.outside', 'A', { edns: 4096 });
    expect([short.flag_tc, data(short)]).toEqual([true, []]);
    expect(data(await ask(own, 'big.outside', 'A', { stream: true }))).toHaveLength(300);
  });
  test('no server answers', async () => {
    expect((await ask(record('net-a', [a]), 'silent.outside')).rcode).toBe('SERVFAIL');
  });
  test('too many at once', async () => {
    const query = encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'silent.outside' }] });
    const busy = responder(record('net-a', [a]), { maxInFlight: 1 });
    const [, second] = await Promise.all([1, 2].map(() => busy.answer(ids.me, query, false, () => true)));
    expect((decode(second as Buffer) as unknown as Decoded).rcode).toBe('SERVFAIL');
  });
});

describe('messages', () => {
  const query = encode({ type: 'query', id: 9, questions: [{ type: 'A', name: 'x.y' }] });
  test.each([
    ['nothing', Buffer.alloc(0), undefined],
    ['half a header', query.subarray(0, 11), undefined],
    ['a response', Buffer.concat([query.subarray(0, 2), Buffer.from([0x80]), query.subarray(3)]), undefined],
    ['a question cut off', query.subarray(0, 15), RCODE.formatError],
    [
      'a name that points at itself',
      Buffer.concat([query.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]),
      RCODE.formatError,
    ],
    [
      'two questions',
      encode({
        type: 'query',
        id: 9,
        questions: [
          { type: 'A', name: 'x' },
          { type: 'A', name: 'y' },
        ],
      }),
      RCODE.formatError,
    ],
    [
      'another operation',
      Buffer.concat([query.subarray(0, 2), Buffer.from([0x28]), query.subarray(3)]),
      RCODE.notImplemented,
    ],
  ])('%s', (_name, message, rcode) => {
    expect(decodeQuery(message)).toBeUndefined();
    expect(formatError(message)?.readUInt8(3)).toBe(rcode);
    if (rcode !== undefined) expect(formatError(message)?.readUInt16BE(0)).toBe(9);
  });
  test('an answer longer than a datagram is cut to a hint', () => {
    const read = decodeQuery(query);
    if (!read) throw new Error('not read');
    const many = Array.from({ length: 60 }, (_, index) => ({
      type: 'A' as const,
      name: 'x.y',
      data: `10.0.0.${index}`,
    }));
    expect(isTruncated(encodeAnswer(read, RCODE.noError, many, false))).toBe(true);
    expect(isTruncated(encodeAnswer(read, RCODE.noError, many, true))).toBe(false);
  });
  test.each([
    ['the answer', 9, 'x.y', true],
    ['in other letters', 9, 'X.y', true],
    ['another id', 8, 'x.y', false],
    ['another name', 9, 'x.z', false],
  ])('whose answer: %s', (_name, id, name, want) => {
    expect(answers(encode({ type: 'response', id, questions: [{ type: 'A', name }] }), query)).toBe(want);
  });
  test.each([
    ['1.0.0.10.in-addr.arpa', '10.0.0.1'],
    ['x.in-addr.arpa', undefined],
    ['db', undefined],
  ])('reverse name %s', (name, want) => {
    expect(addressOfReverse(name)).toBe(want);
  });
});
