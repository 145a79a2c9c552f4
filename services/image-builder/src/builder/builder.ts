import { randomBytes } from 'node:crypto';
import type { Dockerfile, Stage } from '@atoll/dockerfile';
import { expandWord, parseDockerfile } from '@atoll/dockerfile';
import { invalidArgument } from '@atoll/errors';
import { normalizePlatform, parsePlatform, platformString } from '@atoll/oci';
import type { buildV1 } from '@atoll/proto';
import { familiarString } from '@atoll/reference';
import { type ContextLimits, loadContext } from '../context/load-context.ts';
import { Slots } from '../graph/slots.ts';
import { solve } from '../graph/solver.ts';
import { planStages, type StageGraph } from '../graph/stage-graph.ts';
import { imageDocument } from '../image/image-document.ts';
import type { PlatformFields, StageState } from '../image/stage-state.ts';
import type { BuildOutput } from '../progress/build-output.ts';
import { OrderedOutput } from '../progress/ordered-output.ts';
import { StepPrinter } from '../progress/step-printer.ts';
import { BuildArgs } from '../steps/build-args.ts';
import type { HostPlacer } from '../steps/build-host.ts';
import type { BuildSession } from '../steps/build-session.ts';
import type { ImageSource } from '../steps/image-source.ts';
import { LayerKeeper } from '../steps/layer-keeper.ts';
import { OneAtATime } from '../steps/one-at-a-time.ts';
import type { StageResult } from '../steps/stage-result.ts';
import { StageRunner } from '../steps/stage-runner.ts';
import type { StepCache } from '../steps/step-cache.ts';
import { parseTags, sourceDateEpoch } from './options.ts';
import { takeDockerfile } from './take-dockerfile.ts';
import { unusedArgsWarning, warningsOf } from './warnings.ts';

export interface BuilderOptions {
  readonly context: ContextLimits;
  /** Stages of one build that work at the same time. */
  readonly stageConcurrency: number;
  /** Characters kept of each stage whose output is not shown yet. */
  readonly outputBuffer: number;
  readonly platform: PlatformFields;
  readonly hosts: HostPlacer;
  readonly images: ImageSource;
  readonly cache: StepCache;
}

/** Builds images: plans here, lets hosts do the steps, stores the result in the registry. Holds no state between builds. */
export class Builder {
  readonly #options: BuilderOptions;

  constructor(options: BuilderOptions) {
    this.#options = options;
  }

  /**
   * One build, from the options and the context's tar to the id of the stored and tagged image. Text goes to `output` as Docker's
   * classic builder writes it. Errors carry `details.line` and, for a failed RUN, `details.code`.
   */
  async build(
    options: buildV1.BuildOptions,
    tar: AsyncIterable<Buffer>,
    output: BuildOutput,
    signal: AbortSignal,
  ): Promise<string> {
    const tags = parseTags(options.tags);
    this.#checkPlatform(options.platform);
    await using context = await loadContext(tar, this.#options.context);
    const dockerfile = parseDockerfile(await takeDockerfile(context, options.dockerfile));
    const args = this.#declareMetaArgs(dockerfile, options);
    const graph = planStages(
      withLabels(dockerfile.stages, options),
      (stage) => expandWord(stage.from.image, args.meta, dockerfile.escapeChar),
      options.target,
    );
    const abort = new AbortController();
    using layers = new LayerKeeper((digest) => this.#options.images.hasBlob(digest, signal));
    const session: BuildSession = {
      id: randomBytes(16).toString('hex'),
      options,
      dockerfile,
      graph,
      args,
      context,
      platform: this.#options.platform,
      sourceDateEpoch: sourceDateEpoch(options.buildArgs),
      maxArchiveBytes: this.#options.context.maxBytes,
      hosts: this.#options.hosts,
      busyHosts: [],
      placing: new OneAtATime(),
      images: this.#options.images,
      cache: this.#options.cache,
      layers,
      signal: AbortSignal.any([signal, abort.signal]),
    };
    for (const warning of warningsOf(dockerfile)) await output.text(`${warning}\n`);
    const { state } = await this.#solve(session, output, abort);
    const unused = unusedArgsWarning(args.unused());
    if (unused) await output.text(unused);
    const id = await this.#store(
      state,
      tags.map((tag) => tag.full),
      signal,
    );
    await output.text(`Successfully built ${id.slice('sha256:'.length, 'sha256:'.length + 12)}\n`);
    for (const { reference } of tags) await output.text(`Successfully tagged ${familiarString(reference)}\n`);
    return id;
  }

  #checkPlatform(wanted: string): void {
    if (wanted === '') return;
    const own = normalizePlatform(this.#options.platform);
    if (platformString(parsePlatform(wanted, own)) !== platformString(own)) {
      throw invalidArgument(
        `platform ${wanted} cannot be built: the hosts of this cluster are ${platformString(own)}; build for that one`,
      );
    }
  }

  /** ARGs before the first FROM may use those before them and the platform's names. */
  #declareMetaArgs(dockerfile: Dockerfile, options: buildV1.BuildOptions): BuildArgs {
    const { os, architecture, variant = '' } = this.#options.platform;
    const automatic = Object.fromEntries(
      ['TARGET', 'BUILD'].flatMap((side) => [
        [`${side}PLATFORM`, platformString({ os, architecture })],
        [`${side}OS`, os],
        [`${side}ARCH`, architecture],
        [`${side}VARIANT`, variant],
      ]),
    );
    const args = BuildArgs.create(options.buildArgs, automatic);
    for (const { args: declared } of dockerfile.metaArgs) {
      for (const { name, value } of declared) {
        args.declareMeta(name, value === undefined ? undefined : expandWord(value, args.meta, dockerfile.escapeChar));
      }
    }
    for (const instruction of dockerfile.stages.flatMap((stage) => stage.instructions)) {
      // ARGs of stages that are not built consume what was given, too.
      if (instruction.kind === 'ARG') for (const { name } of instruction.args) args.mention(name);
    }
    return args;
  }

  async #solve(session: BuildSession, output: BuildOutput, abort: AbortController): Promise<StageResult> {
    const { graph, dockerfile, signal } = session;
    const slots = new Slots(this.#options.stageConcurrency, graph.needed[0] as number);
    const ordered = new OrderedOutput({
      sink: output,
      order: graph.needed,
      limit: this.#options.outputBuffer,
      onLive: (stage) => slots.show(stage),
      signal,
    });
    const { first, total } = numbering(graph, dockerfile.metaArgs.length);
    for (const [index, meta] of dockerfile.metaArgs.entries()) {
      await output.text(`Step ${index + 1}/${total} : ${meta.source}\n`);
    }
    const work = async (index: number, need: (other: number) => Promise<StageResult>): Promise<StageResult> => {
      const planned = graph.stages[index] as StageGraph['stages'][number];
      // What a stage needs is waited for without a slot: the others need the slots to get done.
      await Promise.all(planned.needs.map(need));
      // One that only a trigger of a base image asks for must not wait for the slot of who asks.
      using _slot = graph.needed.includes(index) ? await slots.take(index, signal) : undefined;
      const printer = new StepPrinter(ordered.of(index), first.get(index) ?? 1, total, session.options.rm);
      const result = await new StageRunner(session, planned, printer, need).run();
      await ordered.finish(index);
      return result;
    };
    try {
      return await solve(graph, work, abort);
    } catch (error) {
      await ordered.flush();
      throw error;
    }
  }

  async #store(state: StageState, tags: readonly string[], signal: AbortSignal): Promise<string> {
    const { images } = this.#options;
    if (state.steps === 0) {
      if (state.baseImageId === '') throw invalidArgument('No image was generated. Is your Dockerfile empty?');
      for (const tag of tags) await images.tag(state.baseImageId, tag, signal);
      return state.baseImageId;
    }
    const { bytes, id } = imageDocument(state);
    await images.create({ config: bytes, layers: [...state.layers], tags, parent: state.baseImageId }, signal);
    return id;
  }
}

/** `--label` as LABEL instructions at the end of the target stage, as Docker does it. */
function withLabels(stages: readonly Stage[], options: buildV1.BuildOptions): readonly Stage[] {
  const names = Object.keys(options.labels).sort();
  if (names.length === 0) return stages;
  const target = options.target.toLowerCase();
  const named = stages.findLastIndex((stage) => stage.from.name !== undefined && stage.from.name === target);
  const index = target === '' ? stages.length - 1 : named >= 0 ? named : Number(target);
  return stages.map((stage, at) => {
    if (at !== index) return stage;
    const labels = names.map((name) => ({
      kind: 'LABEL' as const,
      line: 0,
      source: `LABEL ${name}=${options.labels[name]}`,
      pairs: [{ name: quoted(name), value: quoted(options.labels[name] as string) }],
    }));
    return { ...stage, instructions: [...stage.instructions, ...labels] };
  });
}

/** Single-quoted for the expansion, which must leave a label given by option as it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

/** Step numbers run through all stages that are built, ARGs before the first FROM included. */
function numbering(graph: StageGraph, metaArgs: number): { first: Map<number, number>; total: number } {
  const first = new Map<number, number>();
  let next = metaArgs + 1;
  for (const index of graph.needed) {
    first.set(index, next);
    next += 1 + (graph.stages[index]?.stage.instructions.length ?? 0);
  }
  return { first, total: next - 1 };
}
