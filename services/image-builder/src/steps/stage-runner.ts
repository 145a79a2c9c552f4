import type { ArgInstruction, Instruction, RunInstruction, WorkdirInstruction } from '@atoll/dockerfile';
import {
  absolutePath,
  applyMetadata,
  envOf,
  expandWord,
  parseTrigger,
  type RunConfig,
  shellOf,
} from '@atoll/dockerfile';
import { AtollError, invalidArgument } from '@atoll/errors';
import { buildV1, type containerV1 } from '@atoll/proto';
import type { PlannedStage } from '../graph/stage-graph.ts';
import { imageDocument } from '../image/image-document.ts';
import { probeKey, type StageState, withStep } from '../image/stage-state.ts';
import type { StepPrinter } from '../progress/step-printer.ts';
import { baseState, withDefaultPath } from './base-state.ts';
import type { BuildArgs } from './build-args.ts';
import { type BuildSession, timestamp } from './build-session.ts';
import { prepareCopy } from './copy-step.ts';
import { RunOutput } from './run-output.ts';
import { runRequest, runWords } from './run-request.ts';
import { StageHost } from './stage-host.ts';
import type { StageResult } from './stage-result.ts';
import type { StepRecord } from './step-cache.ts';

/** One step as the runner carries it out: looked up in the cache by its words, else executed. */
interface Step {
  /** `created_by` of the history. */
  readonly createdBy: string;
  readonly config: RunConfig;
  readonly author?: string;
  readonly execute: () => Promise<containerV1.Layer | undefined>;
}

/** Runs the instructions of one stage in order. One use. */
export class StageRunner {
  readonly #session: BuildSession;
  readonly #planned: PlannedStage;
  readonly #printer: StepPrinter;
  readonly #need: (index: number) => Promise<StageResult>;
  readonly #args: BuildArgs;
  #state!: StageState;
  #host!: StageHost;
  #cmdSet = false;
  /** Steps of `--cache-from`, once a step was missed. */
  #imported: ReadonlyMap<string, StepRecord> | undefined;
  #last = false;

  constructor(
    session: BuildSession,
    planned: PlannedStage,
    printer: StepPrinter,
    need: (index: number) => Promise<StageResult>,
  ) {
    this.#session = session;
    this.#planned = planned;
    this.#printer = printer;
    this.#need = need;
    this.#args = session.args.forStage();
  }

  async run(): Promise<StageResult> {
    const { stage, index } = this.#planned;
    await located(stage.from.line, () => this.#begin());
    try {
      for (const [at, instruction] of stage.instructions.entries()) {
        this.#session.signal.throwIfAborted();
        this.#last = index === this.#session.graph.target && at === stage.instructions.length - 1;
        await this.#printer.step(instruction.source);
        await located(instruction.line, () => this.#dispatch(instruction));
      }
      return { state: this.#state, host: this.#host.last };
    } finally {
      this.#host[Symbol.dispose]();
    }
  }

  async #begin(): Promise<void> {
    const { base, stage } = this.#planned;
    await this.#printer.step(stage.from.source);
    const earlier = base.kind === 'stage' ? await this.#need(base.index) : undefined;
    const found = earlier?.state ?? (await baseState(this.#session, this.#planned, this.#printer.output));
    this.#host = new StageHost(this.#session, earlier?.host, (lost, next) =>
      this.#printer.errorText(`host ${lost.name} went away during the step; it runs again on ${next.name}\n`),
    );
    await this.#printer.state(found.steps === 0 ? found.baseImageId : found.key);
    const triggers = found.config.OnBuild ?? [];
    const { OnBuild: _, ...config } = found.config;
    this.#state = withDefaultPath({ ...found, config });
    if (triggers.length === 0) return;
    await this.#printer.output.text(`# Executing ${triggers.length} build trigger${triggers.length > 1 ? 's' : ''}\n`);
    for (const trigger of triggers) await this.#dispatch(parseTrigger(trigger));
  }

  async #dispatch(instruction: Instruction): Promise<void> {
    switch (instruction.kind) {
      case 'ARG':
        return await this.#arg(instruction);
      case 'RUN':
        return await this.#run(instruction);
      case 'WORKDIR':
        return await this.#workdir(instruction);
      case 'COPY':
      case 'ADD': {
        const { config, layers } = this.#state;
        const copy = await prepareCopy(instruction, {
          session: this.#session,
          stage: this.#planned.index,
          layers,
          workdir: config.WorkingDir ?? '',
          expand: this.#expand,
          need: this.#need,
          use: (work) => this.#host.use(work),
          output: this.#printer.output,
        });
        return await this.#step({ createdBy: this.#noop(copy.comment, ''), config, execute: copy.execute });
      }
      default: {
        const change = applyMetadata(instruction, {
          config: this.#state.config,
          cmdSet: this.#cmdSet,
          escapeChar: this.#session.dockerfile.escapeChar,
          expand: this.#expand,
          variables: this.#variables(),
        });
        if (instruction.kind === 'CMD') this.#cmdSet = true;
        return await this.#configStep(change.comment, change.config, change.author);
      }
    }
  }

  async #arg(instruction: ArgInstruction): Promise<void> {
    const args = instruction.args.map(({ name, value }) => ({
      name: this.#expand(name),
      value: value === undefined ? undefined : this.#expand(value),
    }));
    for (const { name, value } of args) this.#args.declare(name, value);
    const words = args.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`));
    await this.#configStep(['ARG', ...words].join(' '), this.#state.config);
  }

  async #workdir(instruction: WorkdirInstruction): Promise<void> {
    const path = absolutePath(this.#state.config.WorkingDir ?? '', this.#expand(instruction.path));
    const config = { ...this.#state.config, WorkingDir: path };
    const request = buildV1.MakeDirectoryRequest.fromPartial({
      buildId: this.#session.id,
      base: { layers: [...this.#state.layers] },
      path,
      sourceDateEpoch: BigInt(this.#session.sourceDateEpoch),
    });
    const execute = async (): Promise<containerV1.Layer | undefined> => {
      const id = await this.#printer.running();
      const result = await this.#host.use((host) => host.makeDirectory(request, this.#session.signal));
      await this.#printer.removed(id);
      return result.layer;
    };
    await this.#step({ createdBy: this.#noop(`WORKDIR ${path}`, ''), config, execute });
  }

  async #run(instruction: RunInstruction): Promise<void> {
    const { config } = this.#state;
    const words = runWords(instruction, config);
    const env = envOf(config);
    const recorded = this.#args.recorded(env);
    const createdBy = [...(recorded.length > 0 ? [`|${recorded.length}`, ...recorded] : []), ...words].join(' ');
    const execute = async (): Promise<containerV1.Layer | undefined> => {
      const id = await this.#printer.running();
      const request = runRequest(this.#session, this.#state, instruction, words, this.#args.visible(env), id);
      const result = await this.#host.use(async (host) => {
        const output = new RunOutput(this.#printer);
        const done = await host.run(request, (piece) => output.write(piece), this.#session.signal);
        await output.end();
        return done;
      });
      if (result.exitCode !== 0) {
        throw invalidArgument(`The command '${words.join(' ')}' returned a non-zero code: ${result.exitCode}`, {
          details: { code: String(result.exitCode) },
        });
      }
      await this.#printer.removed(id);
      return result.layer;
    };
    await this.#step({ createdBy, config, execute });
  }

  /** A step that only changes the config: nothing runs, the lines are Docker's all the same. */
  async #configStep(comment: string, config: RunConfig, author?: string): Promise<void> {
    const execute = async (): Promise<undefined> => {
      await this.#printer.removed(await this.#printer.running());
    };
    await this.#step({
      createdBy: this.#noop(comment, ' '),
      config,
      ...(author === undefined ? {} : { author }),
      execute,
    });
  }

  async #step(step: Step): Promise<void> {
    const { cache, layers, options, sourceDateEpoch } = this.#session;
    const probe = probeKey(this.#state.key, step.createdBy);
    const hit = options.noCache ? undefined : await this.#cached(probe);
    let layer = hit?.layer;
    let created = hit?.created ?? '';
    if (hit) await this.#printer.cached();
    else layer = await step.execute();
    if (!hit || sourceDateEpoch > 0) created = timestamp(this.#session);
    if (!hit) await cache.save(probe, { created, layer });
    if (layer) layers.add(layer.digest);
    const outcome = { probe, createdBy: step.createdBy, created, layer, imported: hit?.imported === true };
    this.#state = withStep(this.#state, outcome, step.config, step.author);
    // The last line before "Successfully built" names the image itself.
    await this.#printer.state(this.#last ? imageDocument(this.#state).id : this.#state.key);
  }

  async #cached(probe: string): Promise<StepRecord | undefined> {
    const { cache, options, signal } = this.#session;
    const { baseImageId } = this.#state;
    const known = await cache.find(probe, signal);
    if (known || baseImageId === '') return known;
    if (!this.#imported) {
      await cache.learn(baseImageId, signal);
      this.#imported = await cache.importFrom(baseImageId, options.cacheFrom, signal);
    }
    return (await cache.find(probe, signal)) ?? this.#imported.get(probe);
  }

  /** The history's words for what runs nothing; Docker separates some of them with two blanks. */
  #noop(comment: string, blank: string): string {
    return [...shellOf(this.#state.config), `#(nop) ${blank}${comment}`].join(' ');
  }

  #variables(): Map<string, string> {
    const env = envOf(this.#state.config);
    return new Map([...this.#args.visible(env), ...env]);
  }

  readonly #expand = (word: string): string => expandWord(word, this.#variables(), this.#session.dockerfile.escapeChar);
}

/** Errors of an instruction carry its line. */
async function located(line: number, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AtollError) || error.details['line'] !== undefined) throw error;
    throw new AtollError(error.reason, error.message, {
      cause: error.cause ?? error,
      details: { ...error.details, line: String(line) },
    });
  }
}
