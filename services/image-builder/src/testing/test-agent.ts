import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { invalidArgument, notFound } from '@atoll/errors';
import { buildV1, containerV1, imageV1 } from '@atoll/proto';
import { AsyncQueue, type CallContext, Channel, GrpcHost, type Handlers, type TlsIdentity } from '@atoll/rpc';
import { readTar } from '../archive/tar-reader.ts';
import { applyTar, changeMark, contentMark, layerOf, look } from './directory-layer.ts';
import { everyone } from './test-registry.ts';

/**
 * An agent's BuildStepService on plain directories: layers are unpacked, steps really happen (RUN in a chroot), and what changed
 * becomes a layer in the registry. It has none of the real agent's isolation and speed.
 */
export class TestAgent {
  readonly id: string;
  readonly host: GrpcHost;
  readonly #root: string;
  readonly #registry: Channel;
  /** Layers fetched so far. */
  readonly #blobs = new Map<string, Buffer>();
  /** Calls by method: metadata must cost none. */
  readonly calls: string[] = [];
  address = '';
  /** RUNs under way. */
  running = 0;
  /** Awaited before every RUN starts. */
  beforeRun: (argv: readonly string[]) => Promise<void> = async () => undefined;

  constructor(options: { id: string; tls: TlsIdentity; root: string; registry: string }) {
    this.id = options.id;
    this.#root = options.root;
    this.#registry = new Channel({ address: options.registry, tls: options.tls, serverRole: 'registry' });
    this.host = new GrpcHost({ listen: '127.0.0.1:0', tls: options.tls }).add(
      buildV1.BuildStepServiceService,
      everyone(buildV1.BuildStepServiceService),
      this.#handlers,
    );
  }

  async start(): Promise<void> {
    this.address = (await this.host.start()).address;
  }

  async stop(): Promise<void> {
    await this.host.stop(100);
    this.#registry.close();
  }

  get #handlers(): Handlers<typeof buildV1.BuildStepServiceService> {
    return {
      runStep: (request, context) => this.#run(request, context),
      copyStep: (requests) => this.#copy(requests),
      makeDirectory: async (request) => {
        this.calls.push('makeDirectory');
        const result = await this.#step(request.base?.layers ?? [], Number(request.sourceDateEpoch), async (root) => {
          mkdirSync(join(root, request.path), { recursive: true });
          return undefined;
        });
        return { result };
      },
      digestPaths: async (request) => {
        this.calls.push('digestPaths');
        return await this.#inside(request.base?.layers ?? [], async (root) => {
          const found = request.paths.flatMap((path) => expand(root, path));
          const marks = found.map((path) => {
            if (!statSync(path).isDirectory()) return [basename(path), readFileSync(path, 'latin1')];
            return [...look(path, contentMark)].map(([name, { mark }]) => [name, mark]);
          });
          return { digest: `sha256:${hash('sha256', JSON.stringify(marks))}` };
        });
      },
    };
  }

  async *#run(request: buildV1.RunStepRequest, context: CallContext): AsyncGenerator<buildV1.RunStepResponse> {
    this.calls.push('runStep');
    const output = new AsyncQueue<buildV1.RunStepResponse>(16);
    const done = this.#step(request.base?.layers ?? [], Number(request.sourceDateEpoch), async (root) => {
      this.running++;
      try {
        await this.beforeRun(request.argv);
        return await inChroot(root, request, output, context.signal);
      } finally {
        this.running--;
      }
    }).then(
      (result) => output.pushWait({ message: { $case: 'result', value: result } }).then(() => output.end()),
      (error: unknown) => output.end(error),
    );
    yield* output;
    await done;
  }

  async #copy(requests: AsyncIterable<buildV1.CopyStepRequest>): Promise<buildV1.CopyStepResponse> {
    this.calls.push('copyStep');
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done || first.value.message?.$case !== 'start')
      throw invalidArgument('the first message must be the start');
    const start = first.value.message.value;
    const parts: Buffer[] = [];
    for (;;) {
      const { value, done } = await iterator.next();
      if (done) break;
      if (value.message?.$case === 'data') parts.push(value.message.value);
    }
    const result = await this.#step(start.base?.layers ?? [], Number(start.sourceDateEpoch), async (root) => {
      if (start.from) await this.#inside(start.from.layers, async (from) => copyFrom(from, root, start));
      else await copyTar(root, start, Buffer.concat(parts));
      return undefined;
    });
    return { result };
  }

  /** Runs work in the root of some layers and makes a layer of what it changed. */
  async #step(
    layers: readonly containerV1.Layer[],
    epoch: number,
    work: (root: string) => Promise<number | undefined>,
  ): Promise<buildV1.StepResult> {
    return await this.#inside(layers, async (root) => {
      const before = look(root, changeMark);
      const exitCode = (await work(root)) ?? 0;
      const tar = exitCode === 0 ? layerOf(root, before, epoch) : undefined;
      if (!tar) return { exitCode, layer: undefined, empty: exitCode === 0 };
      const blobs = this.#registry.client(imageV1.BlobServiceService);
      const written = await blobs.writeBlob(pieces(tar));
      const layer = containerV1.Layer.fromPartial({
        digest: written.digest,
        diffId: written.digest,
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        size: written.size,
      });
      return { exitCode, layer, empty: false };
    });
  }

  async #inside<T>(layers: readonly containerV1.Layer[], work: (root: string) => Promise<T>): Promise<T> {
    const root = mkdtempSync(join(this.#root, 'root-'));
    chmodSync(root, 0o755);
    try {
      const blobs = this.#registry.client(imageV1.BlobServiceService);
      for (const layer of layers) {
        let blob = this.#blobs.get(layer.digest);
        if (!blob) {
          const parts: Buffer[] = [];
          for await (const { data } of blobs.readBlob({ digest: layer.digest, offset: 0n })) parts.push(data);
          blob = Buffer.concat(parts);
          this.#blobs.set(layer.digest, blob);
        }
        await applyTar(root, blob);
      }
      return await work(root);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
}

async function* pieces(bytes: Buffer): AsyncGenerator<imageV1.WriteBlobRequest> {
  for (let at = 0; at < bytes.length; at += 256 * 1024) yield { digest: '', data: bytes.subarray(at, at + 256 * 1024) };
}

async function inChroot(
  root: string,
  request: buildV1.RunStepRequest,
  output: AsyncQueue<buildV1.RunStepResponse>,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const env = Object.fromEntries(request.env.map((item) => item.split(/=(.*)/s).slice(0, 2) as [string, string]));
  const user = request.user === '' ? [] : [`--userspec=${request.user}`];
  const child = spawn(
    '/usr/sbin/chroot',
    [...user, root, '/bin/sh', '-c', 'cd "$0" && exec "$@"', request.cwd, ...request.argv],
    { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const kill = (): void => {
    if (child.pid) process.kill(-child.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', kill, { once: true });
  const forward = async (stream: AsyncIterable<Buffer>, stderr: boolean): Promise<void> => {
    for await (const data of stream) await output.pushWait({ message: { $case: 'output', value: { stderr, data } } });
  };
  const exit = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killed) => resolve(code ?? (killed === 'SIGKILL' ? 137 : 1)));
  });
  try {
    await Promise.all([forward(child.stdout, false), forward(child.stderr, true)]);
    return await exit;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

async function copyTar(root: string, start: buildV1.CopyStepStart, tar: Buffer): Promise<void> {
  const target = join(root, start.destination);
  const fileOnto = !start.into && !(existsSync(target) && statSync(target).isDirectory());
  if (!fileOnto) mkdirSync(target, { recursive: true });
  await applyTar(fileOnto ? dirname(target) : target, tar, (name) => (fileOnto ? basename(target) : name));
  const names: string[] = [];
  for await (const { entry } of readTar(one(tar))) names.push(entry.name);
  for (const name of names) adjust(fileOnto ? target : join(target, name), start);
}

function copyFrom(from: string, root: string, start: buildV1.CopyStepStart): void {
  const sources = start.fromPaths.flatMap((path) => expand(from, path));
  if (sources.length > 1 && !start.into) {
    throw invalidArgument(
      'When using COPY with more than one source file, the destination must be a directory and end with a /',
    );
  }
  const target = join(root, start.destination);
  for (const source of sources) {
    const directory = statSync(source).isDirectory();
    const below = start.into || (existsSync(target) && statSync(target).isDirectory());
    const to = !directory && below ? join(target, basename(source)) : target;
    mkdirSync(directory ? to : dirname(to), { recursive: true });
    cpSync(source, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    const all = directory ? [...look(source, contentMark).keys()].map((name) => join(to, name)) : [to];
    for (const path of all) adjust(path, start);
  }
}

function adjust(path: string, start: buildV1.CopyStepStart): void {
  const [uid = '0', gid = uid] = start.chown.split(':');
  if (start.chown !== '') lchownSync(path, Number(uid), Number(gid));
  if (start.chmod !== '' && !lstatSync(path).isSymbolicLink()) chmodSync(path, Number.parseInt(start.chmod, 8));
}

function expand(root: string, path: string): string[] {
  if (/[*?[]/.test(path)) return globSync(join(root, path)).sort();
  const found = join(root, path);
  if (!existsSync(found)) throw notFound(`stat ${path.replace(/^\//, '')}: file does not exist`);
  return [found];
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
