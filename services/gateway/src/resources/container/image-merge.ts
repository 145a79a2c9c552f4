import type { ImageDefaults } from '../image/resolved-image.ts';
import type { CreateRequest } from './create-request.ts';

/** A create request with what its image declares filled in, by docker's rules. */
export interface MergedConfig {
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string;
  readonly healthcheck: MergedHealthcheck | undefined;
}

export interface MergedHealthcheck {
  readonly test: readonly string[];
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

export function mergeImage(request: CreateRequest, image: ImageDefaults): MergedConfig {
  return {
    env: mergeEnv(request.Env ?? [], image.Env ?? []),
    ...mergeCommand(request, image),
    workingDir: request.WorkingDir || image.WorkingDir || '',
    user: request.User || image.User || '',
    exposedPorts: [...new Set([...(request.ExposedPorts ?? []), ...Object.keys(image.ExposedPorts ?? {})])],
    volumes: [...new Set([...(request.Volumes ?? []), ...Object.keys(image.Volumes ?? {})])],
    labels: { ...image.Labels, ...request.Labels },
    stopSignal: request.StopSignal || image.StopSignal || '',
    healthcheck: mergeHealthcheck(request, image),
  };
}

/** The user's variables win; a name without a value stays and takes the variable away when the process is made. */
function mergeEnv(own: readonly string[], inherited: readonly string[]): readonly string[] {
  const named = new Set(own.map(nameOf));
  return [...own, ...inherited.filter((entry) => !named.has(nameOf(entry)))];
}

function nameOf(entry: string): string {
  const split = entry.indexOf('=');
  return split < 0 ? entry : entry.slice(0, split);
}

/** An own entrypoint drops the image's command; an own command keeps the image's entrypoint; `[""]` is no entrypoint. */
function mergeCommand(
  request: CreateRequest,
  image: ImageDefaults,
): { entrypoint: readonly string[]; cmd: readonly string[] } {
  const own = request.Entrypoint;
  let cmd = request.Cmd ?? [];
  let entrypoint = own ?? [];
  if (entrypoint.length === 0) {
    if (cmd.length === 0) cmd = [...(image.Cmd ?? [])];
    if (own === undefined) entrypoint = [...(image.Entrypoint ?? [])];
  }
  return { entrypoint: entrypoint.length === 1 && entrypoint[0] === '' ? [] : entrypoint, cmd };
}

function mergeHealthcheck(request: CreateRequest, image: ImageDefaults): MergedHealthcheck | undefined {
  const own = request.Healthcheck;
  const inherited = image.Healthcheck;
  const test = own?.Test?.length ? own.Test : (inherited?.Test ?? []);
  if (test.length === 0) return undefined;
  return {
    test,
    interval: own?.Interval || inherited?.Interval || 0,
    timeout: own?.Timeout || inherited?.Timeout || 0,
    startPeriod: own?.StartPeriod || inherited?.StartPeriod || 0,
    startInterval: own?.StartInterval || inherited?.StartInterval || 0,
    retries: own?.Retries || inherited?.Retries || 0,
  };
}
