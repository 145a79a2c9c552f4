import type { Variables } from '@atoll/dockerfile';

/** Build args that work without an ARG instruction and stay out of history and cache keys (Docker's predefined ones). */
const PREDEFINED = new Set(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
);

/**
 * Build args of one build: what the user gave, what ARGs before the first FROM declare, and what the ARGs of a stage declare.
 * Docker's scope rules: an ARG counts from its line to the end of its stage; ENV of the same name wins over it.
 */
export class BuildArgs {
  readonly #given: ReadonlyMap<string, string>;
  readonly #meta: Map<string, string>;
  readonly #declared = new Map<string, string | undefined>();
  readonly #used: Set<string>;

  private constructor(given: ReadonlyMap<string, string>, meta: Map<string, string>, used: Set<string>) {
    this.#given = given;
    this.#meta = meta;
    this.#used = used;
  }

  /** @param automatic args every Dockerfile may declare without a value, such as TARGETARCH */
  static create(given: Readonly<Record<string, string>>, automatic: Readonly<Record<string, string>>): BuildArgs {
    return new BuildArgs(
      new Map(Object.entries(given)),
      new Map(Object.entries(automatic)),
      // SOURCE_DATE_EPOCH is read by the builder itself.
      new Set(['SOURCE_DATE_EPOCH']),
    );
  }

  /** The args of a new stage: nothing declared yet. */
  forStage(): BuildArgs {
    return new BuildArgs(this.#given, this.#meta, this.#used);
  }

  /** An ARG before the first FROM. */
  declareMeta(name: string, value: string | undefined): void {
    this.#used.add(name);
    const effective = this.#given.get(name) ?? value ?? this.#meta.get(name);
    if (effective !== undefined) this.#meta.set(name, effective);
  }

  /** Some ARG of the Dockerfile names it. */
  mention(name: string): void {
    this.#used.add(name);
  }

  declare(name: string, value: string | undefined): void {
    this.#used.add(name);
    this.#declared.set(name, value);
  }

  /** What FROM may use. */
  get meta(): Variables {
    return this.#meta;
  }

  /** What the instructions of the stage may use: declared args and predefined ones that were given, without those ENV hides. */
  visible(env: Variables): Map<string, string> {
    const result = new Map<string, string>();
    for (const [name, value] of this.#declared) {
      const effective = this.#given.get(name) ?? value ?? this.#meta.get(name);
      if (effective !== undefined && !env.has(name)) result.set(name, effective);
    }
    for (const name of PREDEFINED) {
      const value = this.#given.get(name);
      if (value !== undefined && !env.has(name)) result.set(name, value);
    }
    return result;
  }

  /** `NAME=value` of what belongs into a RUN's history and cache key, sorted. */
  recorded(env: Variables): string[] {
    return [...this.visible(env)]
      .filter(([name]) => !PREDEFINED.has(name) || this.#declared.has(name))
      .map(([name, value]) => `${name}=${value}`)
      .sort();
  }

  /** Names the user gave that no ARG of the Dockerfile declares, sorted. */
  unused(): string[] {
    return [...this.#given.keys()].filter((name) => !this.#used.has(name) && !PREDEFINED.has(name)).sort();
  }
}
