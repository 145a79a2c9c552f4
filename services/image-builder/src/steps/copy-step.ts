import { hash } from 'node:crypto';
import type { CopyInstruction } from '@atoll/dockerfile';
import { absolutePath } from '@atoll/dockerfile';
import { invalidArgument } from '@atoll/errors';
import { buildV1, type containerV1 } from '@atoll/proto';
import { isDirectory } from '../context/context-node.ts';
import { isArchive, packSources } from '../context/pack-sources.ts';
import { selectSources } from '../context/select-sources.ts';
import { resolveFrom } from '../graph/stage-graph.ts';
import { stateOfImage } from '../image/image-document.ts';
import type { StageState } from '../image/stage-state.ts';
import type { BuildOutput } from '../progress/build-output.ts';
import type { BuildHost } from './build-host.ts';
import type { BuildSession } from './build-session.ts';
import { type CopyRequest, copyComment, copyFailure, copyRequest, tooManySources } from './copy-request.ts';
import { resolveImage } from './resolve-image.ts';
import type { StageResult } from './stage-result.ts';

export interface CopyContext {
  readonly session: BuildSession;
  /** Number of the stage the instruction stands in. */
  readonly stage: number;
  readonly layers: readonly containerV1.Layer[];
  readonly workdir: string;
  readonly expand: (word: string) => string;
  readonly need: (index: number) => Promise<StageResult>;
  /** Work on the stage's host. */
  readonly use: <T>(work: (host: BuildHost) => Promise<T>) => Promise<T>;
  readonly output: BuildOutput;
}

export interface PreparedCopy {
  /** The words of the history; they hold the digest of everything that is copied. */
  readonly comment: string;
  readonly execute: () => Promise<containerV1.Layer | undefined>;
}

/** Finds and digests what a COPY or ADD takes, so that the cache can be asked before anything is sent. */
export async function prepareCopy(instruction: CopyInstruction, context: CopyContext): Promise<PreparedCopy> {
  const request = copyRequest(instruction, context.workdir, context.expand);
  try {
    return instruction.from === undefined
      ? await fromContext(request, context)
      : await fromImage(request, instruction, context);
  } catch (error) {
    throw copyFailure(request.kind, error);
  }
}

async function fromContext(request: CopyRequest, context: CopyContext): Promise<PreparedCopy> {
  const { session } = context;
  const { tree, spool } = session.context;
  const { sources, digest } = selectSources(tree, request.sources);
  const many = sources.length > 1;
  if (many && !request.destination.endsWith('/')) throw tooManySources(request.kind);
  const execute = async (): Promise<containerV1.Layer | undefined> => {
    const archives: boolean[] = [];
    if (request.kind === 'ADD') for (const source of sources) archives.push(await isArchive(source, spool));
    const into = many || request.destination.endsWith('/') || archives.includes(true);
    const start = startOf(request, context, {
      into: into || sources.some(({ node }) => isDirectory(node)),
      keepOwner: archives.includes(true) && request.chown === '',
    });
    const pack = {
      extract: request.kind === 'ADD',
      sourceDateEpoch: session.sourceDateEpoch,
      maxBytes: session.maxArchiveBytes,
    };
    const result = await context.use((host) => host.copy(start, packSources(sources, spool, pack), session.signal));
    return result.layer;
  };
  return { comment: copyComment(request, digest), execute: () => failing(request.kind, execute) };
}

async function fromImage(
  request: CopyRequest,
  instruction: CopyInstruction,
  context: CopyContext,
): Promise<PreparedCopy> {
  const { session } = context;
  const source = await sourceState(instruction, context);
  const paths = request.sources.map((path) => absolutePath('', path));
  const key = hash('sha256', JSON.stringify(['paths', source.key, paths]));
  const base = { layers: [...source.layers] };
  let digest = session.options.noCache ? undefined : await session.cache.findDigest(key);
  if (digest === undefined) {
    const wanted = buildV1.DigestPathsRequest.fromPartial({ base, paths });
    digest = await context.use((host) => host.digestPaths(wanted, session.signal));
    await session.cache.saveDigest(key, digest);
  }
  const execute = async (): Promise<containerV1.Layer | undefined> => {
    const many = paths.length > 1;
    if (many && !request.destination.endsWith('/')) throw tooManySources(request.kind);
    const start = startOf(request, context, {
      into: many || request.destination.endsWith('/'),
      from: base,
      fromPaths: paths,
    });
    return (await context.use((host) => host.copy(start, undefined, session.signal))).layer;
  };
  return {
    comment: copyComment(request, `from:${digest.replace(/^sha256:/, '')}`),
    execute: () => failing(request.kind, execute),
  };
}

function startOf(
  request: CopyRequest,
  { session, layers }: CopyContext,
  more: Pick<Parameters<typeof buildV1.CopyStepStart.fromPartial>[0], 'into' | 'keepOwner' | 'from' | 'fromPaths'>,
): buildV1.CopyStepStart {
  return buildV1.CopyStepStart.fromPartial({
    buildId: session.id,
    base: { layers: [...layers] },
    destination: absolutePath('', request.destination),
    chown: request.chown,
    chmod: request.chmod,
    sourceDateEpoch: BigInt(session.sourceDateEpoch),
    ...more,
  });
}

async function sourceState(instruction: CopyInstruction, context: CopyContext): Promise<StageState> {
  const { session } = context;
  const source = resolveFrom(session.dockerfile.stages, context.stage, instruction.from ?? '', instruction.line);
  if (source.kind === 'stage') return (await context.need(source.index)).state;
  if (source.kind === 'scratch') throw invalidArgument('nothing can be copied from scratch');
  return stateOfImage(await resolveImage(session, source.reference, context.output));
}

async function failing<T>(kind: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw copyFailure(kind, error);
  }
}
