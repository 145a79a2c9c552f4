/** Where an instruction stands and what it says, continuation lines joined. */
export interface Located {
  readonly line: number;
  readonly source: string;
}

export interface NameValue {
  readonly name: string;
  readonly value: string;
}

/** A command in exec form (the words) or shell form (one text, run by the shell of the stage). */
export interface CommandLine {
  readonly form: 'exec' | 'shell';
  readonly words: readonly string[];
}

/** Durations in nanoseconds, 0 = the engine's default. */
export interface HealthcheckSpec {
  readonly test: readonly string[];
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

export interface FromInstruction extends Located {
  readonly kind: 'FROM';
  readonly image: string;
  readonly name: string | undefined;
  readonly platform: string | undefined;
}
export interface ArgInstruction extends Located {
  readonly kind: 'ARG';
  readonly args: readonly { readonly name: string; readonly value: string | undefined }[];
}
export interface RunInstruction extends Located {
  readonly kind: 'RUN';
  readonly command: CommandLine;
  readonly network: string | undefined;
}
export interface CopyInstruction extends Located {
  readonly kind: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  readonly destination: string;
  readonly from: string | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
}
export interface PairsInstruction extends Located {
  readonly kind: 'ENV' | 'LABEL';
  readonly pairs: readonly NameValue[];
}
export interface TextInstruction extends Located {
  readonly kind: 'USER' | 'STOPSIGNAL' | 'MAINTAINER' | 'ONBUILD';
  readonly text: string;
}
export interface WorkdirInstruction extends Located {
  readonly kind: 'WORKDIR';
  readonly path: string;
}
export interface ListInstruction extends Located {
  readonly kind: 'EXPOSE' | 'VOLUME' | 'SHELL';
  readonly items: readonly string[];
}
export interface CommandInstruction extends Located {
  readonly kind: 'CMD' | 'ENTRYPOINT';
  readonly command: CommandLine;
}
export interface HealthcheckInstruction extends Located {
  readonly kind: 'HEALTHCHECK';
  readonly check: HealthcheckSpec;
}

/** What may stand in a stage after its FROM. */
export type Instruction =
  | ArgInstruction
  | RunInstruction
  | CopyInstruction
  | PairsInstruction
  | TextInstruction
  | WorkdirInstruction
  | ListInstruction
  | CommandInstruction
  | HealthcheckInstruction;

export interface Stage {
  readonly from: FromInstruction;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly escapeChar: '\\' | '`';
  readonly syntax: string | undefined;
  /** ARGs before the first FROM. */
  readonly metaArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly string[];
}
