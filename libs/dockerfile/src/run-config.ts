/** Durations in nanoseconds. */
export interface HealthConfig {
  readonly Test: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** The `config` object of an image (OCI image spec, config.md, with Docker's additions). Replaced, never changed in place. */
export interface RunConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[];
  readonly Healthcheck?: HealthConfig;
}

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

export function shellOf(config: RunConfig): readonly string[] {
  return config.Shell && config.Shell.length > 0 ? config.Shell : DEFAULT_SHELL;
}

/** `NAME=value` strings as a map; a later one of the same name wins. */
export function envOf(config: RunConfig): Map<string, string> {
  const env = new Map<string, string>();
  for (const item of config.Env ?? []) {
    const equals = item.indexOf('=');
    if (equals < 0) env.set(item, '');
    else env.set(item.slice(0, equals), item.slice(equals + 1));
  }
  return env;
}

/** Sets a variable where it stands already, else at the end. */
export function withEnv(env: readonly string[], name: string, value: string): string[] {
  const next = [...env];
  const at = next.findIndex((item) => item === name || item.startsWith(`${name}=`));
  if (at < 0) next.push(`${name}=${value}`);
  else next[at] = `${name}=${value}`;
  return next;
}
