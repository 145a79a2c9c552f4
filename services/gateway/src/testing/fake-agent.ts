import { randomBytes } from 'node:crypto';
import { conflict, invalidArgument, notFound } from '@atoll/errors';
import { containerV1, runtimeV1 } from '@atoll/proto';
import type { Handlers } from '@atoll/rpc';
import { FakeProcess } from './fake-process.ts';

const { ContainerState } = containerV1;
const { StdStream } = runtimeV1;
const ENDED: readonly containerV1.ContainerState[] = [ContainerState.EXITED, ContainerState.REMOVED];

interface Held {
  readonly record: containerV1.ContainerRecord;
  status: containerV1.ContainerStatus;
  process: FakeProcess | undefined;
  readonly watchers: Set<() => void>;
}

/** An agent without a kernel: it keeps statuses and pretends processes, and serves RuntimeService as the real one does. */
export class FakeAgent {
  readonly containers = new Map<string, Held>();
  readonly resizes: runtimeV1.Window[] = [];
  readonly commits: runtimeV1.CommitLayerRequest[] = [];
  readonly asked = {
    logs: [] as runtimeV1.LogsRequest[],
    top: [] as runtimeV1.TopRequest[],
    stats: [] as runtimeV1.StatsRequest[],
    execs: [] as (runtimeV1.ExecSpec | undefined)[],
  };
  /** What the probes of any container found. */
  health: runtimeV1.Health | undefined;
  /** The layer of what any container has written. */
  written: containerV1.Layer | undefined;
  readonly archives = new Map<string, Buffer>();
  /** Attach calls that are open. */
  attachments = 0;
  readonly #execs = new Map<
    string,
    { containerId: string; spec: runtimeV1.ExecSpec; process?: FakeProcess; code?: number }
  >();
  readonly #nodeId: string;

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  ensure(record: containerV1.ContainerRecord): containerV1.ContainerStatus {
    const status = containerV1.ContainerStatus.fromPartial({
      id: record.id,
      nodeId: this.#nodeId,
      seq: 1n,
      state: ContainerState.CREATED,
      generation: record.generation,
    });
    this.containers.set(record.id, { record, status, process: undefined, watchers: new Set() });
    return status;
  }

  startContainer(id: string): containerV1.ContainerStatus {
    const held = this.#held(id);
    const { entrypoint = [], cmd = [] } = held.record.spec?.process ?? {};
    const process = new FakeProcess([...entrypoint, ...cmd]);
    held.process = process;
    void process.exited.then((exitCode) =>
      this.#change(held, { state: ContainerState.EXITED, exitCode, pid: 0, finishedAtNs: now() }),
    );
    const network = { ipAddress: '127.0.0.1', ipPrefixLen: 16, gateway: '172.31.0.1', macAddress: '02:42:ac:1f:00:02' };
    return this.#change(held, { state: ContainerState.RUNNING, pid: 4242, startedAtNs: now(), ...network });
  }

  killContainer(id: string, code: number): containerV1.ContainerStatus {
    const held = this.#held(id);
    held.process?.kill(code);
    return this.#change(held, { state: ContainerState.EXITED, exitCode: code, pid: 0, finishedAtNs: now() });
  }

  removeContainer(id: string): void {
    const held = this.#held(id);
    this.#change(held, { state: ContainerState.REMOVED });
    this.containers.delete(id);
  }

  readonly handlers: Handlers<runtimeV1.RuntimeServiceService> = {
    attach: (requests, { signal }) => this.#attach(requests, signal),
    logs: (request) => this.#logs(request),
    wait: (request) => this.#wait(request),
    getStatus: async ({ containerId }) => ({
      status: this.#held(containerId).status,
      logPath: '/log',
      execIds: [],
      health: this.health,
    }),
    resize: async ({ containerId, window }) => {
      this.#held(containerId);
      if (window !== undefined) this.resizes.push(window);
      return {};
    },
    top: async (request) => {
      this.asked.top.push(request);
      return { titles: ['PID', 'CMD'], processes: [{ fields: ['1', 'sleep'] }] };
    },
    stats: (request) => this.#stats(request),
    createExec: async ({ containerId, spec }) => {
      this.asked.execs.push(spec);
      if (this.#held(containerId).process === undefined) throw conflict(`Container ${containerId} is not running`);
      const execId = randomBytes(32).toString('hex');
      this.#execs.set(execId, { containerId, spec: spec ?? runtimeV1.ExecSpec.fromPartial({}) });
      return { execId };
    },
    startExec: (requests) => this.#startExec(requests),
    inspectExec: async ({ execId }) => {
      const exec = this.#exec(execId);
      return runtimeV1.InspectExecResponse.fromPartial({
        execId,
        containerId: exec.containerId,
        spec: exec.spec,
        running: exec.process !== undefined && exec.code === undefined,
        exitCode: exec.code,
        pid: 77,
      });
    },
    resizeExec: async ({ window }) => {
      if (window !== undefined) this.resizes.push(window);
      return {};
    },
    statArchive: async ({ path }) => ({ stat: this.#stat(path) }),
    getArchive: (request) => this.#getArchive(request.path),
    putArchive: async (requests) => {
      let path = '';
      const chunks: Buffer[] = [];
      for await (const { message } of requests) {
        if (message?.$case === 'start') path = message.value.path;
        else if (message?.$case === 'data') chunks.push(message.value);
      }
      this.archives.set(path, Buffer.concat(chunks));
      return {};
    },
    listChanges: async () => ({ changes: [{ path: '/tmp/new', kind: 1 }] }),
    commitLayer: async (request) => {
      const held = this.#held(request.containerId);
      this.commits.push(request);
      return { layer: this.written, status: held.status };
    },
    getUsage: async () => ({
      volumes: [],
      layersBytes: 0n,
      containers: [...this.containers.keys()].map((containerId) => ({ containerId, sizeRw: 512n, logBytes: 0n })),
    }),
  };

  async *#attach(
    requests: AsyncIterable<runtimeV1.AttachRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<runtimeV1.AttachResponse> {
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true || first.value.message?.$case !== 'start') throw conflict('want start');
    const held = this.#held(first.value.message.value.containerId);
    yield { message: { $case: 'ready', value: { tty: held.record.spec?.process?.tty ?? false } } };
    this.attachments++;
    try {
      await this.#until(held, () => held.process !== undefined);
      const process = held.process as FakeProcess;
      feed(iterator, process).catch(() => process.closeInput());
      // A client that leaves ends its attachment, though nothing more may ever be written.
      const left = new Promise<undefined>((resolve) =>
        signal.addEventListener('abort', () => resolve(undefined), { once: true }),
      );
      const written = process.output[Symbol.asyncIterator]();
      for (;;) {
        const next = await Promise.race([written.next(), left]);
        if (next === undefined || next.done === true) return;
        yield output(next.value.stream, next.value.data);
      }
    } finally {
      this.attachments--;
    }
  }

  async *#startExec(requests: AsyncIterable<runtimeV1.StartExecRequest>): AsyncGenerator<runtimeV1.StartExecResponse> {
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true || first.value.message?.$case !== 'start') throw conflict('want start');
    const exec = this.#exec(first.value.message.value.execId);
    if (exec.spec.argv[0] === 'nosuch') {
      exec.code = 127;
      throw invalidArgument('exec: "nosuch": executable file not found in $PATH');
    }
    const process = new FakeProcess(exec.spec.argv);
    exec.process = process;
    void process.exited.then((code) => {
      exec.code = code;
    });
    yield { message: { $case: 'started', value: { pid: 77 } } };
    if (first.value.message.value.detach) return;
    feed(iterator, process).catch(() => process.closeInput());
    for await (const { stream, data } of process.output) yield output(stream, data);
    yield { message: { $case: 'exit', value: { exitCode: await process.exited } } };
  }

  async *#logs(request: runtimeV1.LogsRequest): AsyncGenerator<runtimeV1.LogsResponse> {
    this.asked.logs.push(request);
    const held = this.#held(request.containerId);
    let at = request.tail >= 0n ? Math.max(0, (held.process?.log.length ?? 0) - Number(request.tail)) : 0;
    for (;;) {
      const log = held.process?.log ?? [];
      for (; at < log.length; at++) {
        const { stream, data } = log[at] as FakeProcess['log'][number];
        if (stream === 'stdout' ? !request.stdout : !request.stderr) continue;
        const timeNs = 1_700_000_000_000_000_000n + BigInt(at);
        if (timeNs < request.sinceNs) continue;
        yield { stream: stream === 'stdout' ? StdStream.STDOUT : StdStream.STDERR, timeNs, data };
      }
      if (!request.follow || held.status.state === ContainerState.EXITED) return;
      await this.#until(held, () => held.status.state === ContainerState.EXITED);
    }
  }

  async *#wait({ containerId, condition }: runtimeV1.WaitRequest): AsyncGenerator<runtimeV1.WaitResponse> {
    const held = this.#held(containerId);
    yield runtimeV1.WaitResponse.fromPartial({ waiting: true });
    const begin = held.status.seq;
    await this.#until(held, () => {
      const { state, seq } = held.status;
      if (condition === 'removed') return state === ContainerState.REMOVED;
      if (condition === 'next-exit') return seq > begin && ENDED.includes(state);
      return state !== ContainerState.RUNNING;
    });
    yield runtimeV1.WaitResponse.fromPartial({ exitCode: held.status.exitCode, status: held.status });
  }

  async *#stats(request: runtimeV1.StatsRequest): AsyncGenerator<runtimeV1.StatsResponse> {
    this.asked.stats.push(request);
    for (let count = 0n; ; count++) {
      yield runtimeV1.StatsResponse.fromPartial({
        readNs: now(),
        cpu: { totalUsage: 100n + count, systemUsage: 1000n, onlineCpus: 2 },
        memory: { usage: 4096n, limit: 8192n, stats: { cache: 1n } },
        pidsCurrent: 1n,
        networks: { eth0: { rxBytes: 7n } },
      });
      if (!request.stream) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async *#getArchive(path: string): AsyncGenerator<runtimeV1.GetArchiveResponse> {
    yield { message: { $case: 'stat', value: this.#stat(path) } };
    yield { message: { $case: 'data', value: this.archives.get(path) ?? Buffer.alloc(0) } };
  }

  #stat(path: string): runtimeV1.PathStat {
    if (!this.archives.has(path) && path !== '/.') throw notFound(`Could not find the file ${path} in container`);
    return { name: path.split('/').at(-1) ?? '', size: 4n, mode: 0o644, mtimeNs: 0n, linkTarget: '' };
  }

  #held(id: string): Held {
    const held = this.containers.get(id);
    if (held === undefined) throw notFound(`No such container: ${id}`);
    return held;
  }

  #exec(id: string) {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw notFound(`No such exec instance: ${id}`);
    return exec;
  }

  #change(held: Held, change: Partial<containerV1.ContainerStatus>): containerV1.ContainerStatus {
    held.status = { ...held.status, ...change, seq: held.status.seq + 1n };
    for (const wake of [...held.watchers]) wake();
    return held.status;
  }

  async #until(held: Held, reached: () => boolean): Promise<void> {
    while (!reached()) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          held.watchers.delete(wake);
          resolve();
        };
        held.watchers.add(wake);
      });
    }
  }
}

function output(stream: 'stdout' | 'stderr', data: Buffer) {
  const value = { stream: stream === 'stdout' ? StdStream.STDOUT : StdStream.STDERR, data };
  return { message: { $case: 'output' as const, value } };
}

async function feed(
  requests: AsyncIterator<{ message: { $case: string; value: unknown } | undefined }>,
  process: FakeProcess,
): Promise<void> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    const { message } = next.value;
    if (message?.$case === 'stdin') await process.write(message.value as Buffer);
    if (message?.$case === 'stdinEof') process.closeInput();
  }
}

function now(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
