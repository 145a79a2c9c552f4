import { invalidArgument } from '@atoll/errors';
import { expandWords } from './expand.ts';
import { goQuoteList } from './go-quote.ts';
import type {
  CommandInstruction,
  HealthcheckInstruction,
  ListInstruction,
  NameValue,
  PairsInstruction,
  TextInstruction,
} from './instructions.ts';
import { exposedPorts } from './ports.ts';
import { type HealthConfig, type RunConfig, shellOf, withEnv } from './run-config.ts';
import { isSignal } from './signals.ts';

/** Instructions that change the image's config and no file: decided here, nothing runs for them. */
export type MetadataInstruction =
  | PairsInstruction
  | TextInstruction
  | ListInstruction
  | CommandInstruction
  | HealthcheckInstruction;

export interface MetadataContext {
  readonly config: RunConfig;
  /** A CMD stood in this stage before. */
  readonly cmdSet: boolean;
  readonly escapeChar: string;
  /** Quotes taken off, variables put in. */
  readonly expand: (word: string) => string;
  readonly variables: ReadonlyMap<string, string>;
}

export interface MetadataChange {
  readonly config: RunConfig;
  /** The words after `#(nop) ` in the history, as Docker writes them. */
  readonly comment: string;
  readonly author?: string;
}

/** What an instruction makes of the config. Throws invalid-argument for values that cannot be. */
export function applyMetadata(instruction: MetadataInstruction, context: MetadataContext): MetadataChange {
  const { config, expand } = context;
  switch (instruction.kind) {
    case 'ENV':
      return applyEnv(config, expandPairs(instruction.pairs, expand));
    case 'LABEL': {
      const pairs = expandPairs(instruction.pairs, expand);
      const Labels = { ...config.Labels, ...Object.fromEntries(pairs.map(({ name, value }) => [name, value])) };
      return { config: { ...config, Labels }, comment: listed('LABEL', pairs) };
    }
    case 'USER': {
      const User = expand(instruction.text);
      return { config: { ...config, User }, comment: `USER ${User}` };
    }
    case 'STOPSIGNAL': {
      const StopSignal = expand(instruction.text);
      if (!isSignal(StopSignal)) throw invalidArgument(`invalid signal: ${StopSignal}`);
      return { config: { ...config, StopSignal }, comment: `STOPSIGNAL ${StopSignal}` };
    }
    case 'MAINTAINER':
      return { config, comment: `MAINTAINER ${instruction.text}`, author: instruction.text };
    case 'ONBUILD':
      return {
        config: { ...config, OnBuild: [...(config.OnBuild ?? []), instruction.text] },
        comment: `ONBUILD ${instruction.text}`,
      };
    case 'EXPOSE':
    case 'VOLUME':
    case 'SHELL':
      return applyList(instruction, context);
    case 'CMD':
    case 'ENTRYPOINT':
      return applyCommand(instruction, context);
    case 'HEALTHCHECK':
      return applyHealthcheck(instruction, config);
    default:
      return instruction satisfies never;
  }
}

function applyEnv(config: RunConfig, pairs: readonly NameValue[]): MetadataChange {
  const Env = pairs.reduce<readonly string[]>((env, { name, value }) => withEnv(env, name, value), config.Env ?? []);
  return { config: { ...config, Env }, comment: listed('ENV', pairs) };
}

function applyList(instruction: ListInstruction, context: MetadataContext): MetadataChange {
  const { config } = context;
  if (instruction.kind === 'SHELL') {
    return { config: { ...config, Shell: instruction.items }, comment: `SHELL [${instruction.items.join(' ')}]` };
  }
  if (instruction.kind === 'VOLUME') {
    const items = instruction.items.map((item) => context.expand(item));
    if (items.includes('')) throw invalidArgument('VOLUME specified can not be an empty string');
    return {
      config: { ...config, Volumes: { ...config.Volumes, ...emptyObjects(items) } },
      comment: `VOLUME [${items.join(' ')}]`,
    };
  }
  const words = instruction.items.flatMap((item) => expandWords(item, context.variables, context.escapeChar)).sort();
  const ExposedPorts = { ...config.ExposedPorts, ...emptyObjects(words.flatMap(exposedPorts)) };
  return { config: { ...config, ExposedPorts }, comment: `EXPOSE ${words.join(' ')}` };
}

function applyCommand(instruction: CommandInstruction, { config, cmdSet }: MetadataContext): MetadataChange {
  const { form, words } = instruction.command;
  const command = form === 'exec' ? words : [...shellOf(config), ...words];
  const comment = `${instruction.kind} ${goQuoteList(command)}`;
  if (instruction.kind === 'CMD') return { config: { ...config, Cmd: command }, comment };
  // A new entrypoint makes the base image's default arguments meaningless, those of this Dockerfile not.
  const { Cmd, ...rest } = config;
  return { config: { ...rest, Entrypoint: command, ...(cmdSet && Cmd ? { Cmd } : {}) }, comment };
}

function applyHealthcheck({ check }: HealthcheckInstruction, config: RunConfig): MetadataChange {
  const Healthcheck: HealthConfig = {
    Test: check.test,
    ...(check.interval ? { Interval: check.interval } : {}),
    ...(check.timeout ? { Timeout: check.timeout } : {}),
    ...(check.startPeriod ? { StartPeriod: check.startPeriod } : {}),
    ...(check.startInterval ? { StartInterval: check.startInterval } : {}),
    ...(check.retries ? { Retries: check.retries } : {}),
  };
  return { config: { ...config, Healthcheck }, comment: `HEALTHCHECK ${JSON.stringify(Healthcheck)}` };
}

function expandPairs(pairs: readonly NameValue[], expand: (word: string) => string): NameValue[] {
  return pairs.map(({ name, value }) => ({ name: expand(name), value: expand(value) }));
}

function listed(kind: string, pairs: readonly NameValue[]): string {
  return [kind, ...pairs.map(({ name, value }) => `${name}=${value}`)].join(' ');
}

function emptyObjects(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
