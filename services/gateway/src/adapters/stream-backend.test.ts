import { CONTAINER_STATUSES, CONTAINERS, Mirror, NETWORKS, NODE_STATUSES, NODES, VOLUMES } from '@atoll/bus';
import { notFound, unavailable } from '@atoll/errors';
import { containerV1, nodeV1, runtimeV1 } from '@atoll/proto';
import type { Channel } from '@atoll/rpc';
import { describe, expect, test } from 'vitest';
import { Agents } from './agents.ts';
import { ClusterState } from './cluster-state.ts';
import { StreamBackend } from './stream-backend.ts';

const ID = 'c'.repeat(64);
const { ContainerState } = containerV1;
const signal = new AbortController().signal;

type Script<T> = (request: T) => AsyncIterable<unknown>;

/** A container on a node whose agent answers each call by the next script. */
function cluster(scripts: {
  readonly logs?: Script<runtimeV1.LogsRequest>[];
  readonly wait?: Script<runtimeV1.WaitRequest>[];
}) {
  const mirrors = {
    containers: new Mirror(CONTAINERS),
    containerStatuses: new Mirror(CONTAINER_STATUSES),
    nodes: new Mirror(NODES),
    volumes: new Mirror(VOLUMES),
    networks: new Mirror(NETWORKS),
    nodeStatuses: new Mirror(NODE_STATUSES),
  };
  mirrors.nodes.apply('n1', nodeV1.NodeRecord.fromPartial({ id: 'n1', facts: { address: 'n1:1' } }), 1n);
  const record = containerV1.ContainerRecord.fromPartial({ id: ID, nodeId: 'n1', spec: { name: 'web' } });
  mirrors.containers.apply(ID, record, 1n);
  const next =
    <T>(list: Script<T>[] | undefined) =>
    (request: T) => {
      const script = list?.shift();
      if (script === undefined) throw new Error('asked once too often');
      return script(request);
    };
  const client = { logs: next(scripts.logs), wait: next(scripts.wait) };
  const state = new ClusterState(mirrors);
  const agents = new Agents({ get: () => ({ client: () => client }) as unknown as Channel });
  return { mirrors, record, backend: new StreamBackend(state, agents), view: state.find('web') };
}

const entry = (text: string, timeNs: bigint) =>
  runtimeV1.LogsResponse.fromPartial({ stream: runtimeV1.StdStream.STDOUT, timeNs, data: Buffer.from(text) });
const waiting = runtimeV1.WaitResponse.fromPartial({ waiting: true });
const ended = (exitCode: number) => runtimeV1.WaitResponse.fromPartial({ exitCode });

describe('logs', () => {
  const options = { stdout: true, stderr: true, sinceNs: 0n, untilNs: 0n, tail: 2, follow: true, timestamps: false };
  test('go on behind the last record when the agent comes back', async () => {
    const asked: runtimeV1.LogsRequest[] = [];
    const { backend, view } = cluster({
      logs: [
        async function* (request) {
          asked.push({ ...request });
          yield entry('a', 10n);
          yield entry('b', 20n);
          throw unavailable('connection lost');
        },
        async function* () {
          yield* [];
          throw unavailable('not there yet');
        },
        async function* (request) {
          asked.push({ ...request });
          yield entry('c', 30n);
        },
      ],
    });
    const heard: string[] = [];
    for await (const { data } of backend.logs(view, options, signal)) heard.push(data.toString());
    expect(heard).toEqual(['a', 'b', 'c']);
    expect(asked.map(({ sinceNs, tail }) => [sinceNs, tail])).toEqual([
      [0n, 2n],
      [21n, -1n],
    ]);
  });
  test('without follow a lost agent is an error', async () => {
    const { backend, view } = cluster({
      logs: [
        async function* () {
          yield* [];
          throw unavailable('connection lost');
        },
      ],
    });
    const reading = (async () => {
      for await (const _ of backend.logs(view, { ...options, follow: false }, signal));
    })();
    await expect(reading).rejects.toThrow('connection lost');
  });
});

describe('wait', () => {
  test('is taken up again, for an end that may have come meanwhile', async () => {
    const conditions: string[] = [];
    const { backend, view, mirrors } = cluster({
      wait: [
        async function* ({ condition }) {
          conditions.push(condition);
          yield waiting;
          throw unavailable('connection lost');
        },
        async function* ({ condition }) {
          conditions.push(condition);
          yield ended(5);
        },
      ],
    });
    const { result } = await backend.wait(view, 'next-exit', signal);
    const status = { id: ID, nodeId: 'n1', seq: 2n, state: ContainerState.RUNNING };
    mirrors.containerStatuses.apply(ID, containerV1.ContainerStatus.fromPartial(status), 0n);
    expect(await result).toEqual({ exitCode: 5, error: '' });
    expect(conditions).toEqual(['next-exit', 'not-running']);
  });
  test('ends when the host is lost', async () => {
    const { backend, view, mirrors, record } = cluster({
      wait: [
        async function* () {
          yield waiting;
          throw unavailable('connection lost');
        },
      ],
    });
    const { result } = await backend.wait(view, 'not-running', signal);
    mirrors.containers.apply(ID, { ...record, lostReason: 'host h1 is lost' }, 2n);
    expect(await result).toEqual({ exitCode: 137, error: 'host h1 is lost' });
  });
  test.each([
    [
      'the record is gone',
      (mirrors: ReturnType<typeof cluster>['mirrors']) => mirrors.containers.apply(ID, undefined, 9n),
      undefined,
    ],
    ['the agent knows it no more', () => true, notFound('No such container')],
  ])('for removal ends when %s', async (_name, change, error) => {
    const { backend, view, mirrors } = cluster({
      wait: [
        async function* () {
          yield waiting;
          throw unavailable('connection lost');
        },
        async function* () {
          yield* [];
          throw error;
        },
      ],
    });
    const { result } = await backend.wait(view, 'removed', signal);
    change(mirrors);
    expect(await result).toEqual({ exitCode: 0, error: '' });
  });
});
