import { applyChanges, type HealthConfig, type RunConfig } from '@atoll/dockerfile';
import { CONSTRAINTS_LABEL } from './constraints.ts';
import type { ContainerView } from './container-view.ts';
import type { CreateRequest } from './create-request.ts';
import { mergeImage } from './image-merge.ts';

/** What a commit may say about the image's config: docker's container config, of which an image keeps these. */
export type CommitConfig = Pick<
  CreateRequest,
  'User' | 'ExposedPorts' | 'Env' | 'Cmd' | 'Entrypoint' | 'Healthcheck' | 'Volumes' | 'WorkingDir' | 'Labels' | 'Shell'
> & { readonly StopSignal?: string | undefined; readonly OnBuild?: readonly string[] | undefined };

/**
 * The run config of a committed image, by docker's rules: what the request gives, or else the container's own config; changed
 * by the Dockerfile lines; filled up from the container where it says nothing.
 * @throws invalid-argument for a line that is no change
 */
export function committedConfig(
  view: ContainerView,
  given: CommitConfig | undefined,
  changes: readonly string[],
): RunConfig {
  const own = containerConfig(view);
  const changed = applyChanges(given === undefined ? own : requestConfig(given), changes);
  return { ...filledUp(changed, own), ...pick(changed, ['Shell', 'OnBuild']) };
}

/** The container's config as an image would have it. */
export function containerConfig({ spec }: ContainerView): RunConfig {
  const { process, network, healthcheck } = spec;
  // Where this container was to run is nothing its image should carry on.
  const { [CONSTRAINTS_LABEL]: _placement, ...labels } = spec.labels;
  return withoutEmpty({
    User: process?.user,
    ExposedPorts: setOf(network?.exposedPorts),
    Env: process?.env,
    Entrypoint: process?.entrypoint,
    Cmd: process?.cmd,
    Volumes: setOf(spec.declaredVolumes),
    WorkingDir: process?.cwd,
    Labels: labels,
    StopSignal: spec.stopSignal,
    Healthcheck: healthcheck && {
      Test: healthcheck.test,
      Interval: Number(healthcheck.interval),
      Timeout: Number(healthcheck.timeout),
      StartPeriod: Number(healthcheck.startPeriod),
      StartInterval: Number(healthcheck.startInterval),
      Retries: Number(healthcheck.retries),
    },
  });
}

function requestConfig(given: CommitConfig): RunConfig {
  return withoutEmpty({
    ...given,
    ExposedPorts: setOf(given.ExposedPorts),
    Volumes: setOf(given.Volumes),
    Healthcheck: given.Healthcheck as HealthConfig | undefined,
  });
}

/** Docker merges the container's config below as it merges an image's below a container's. */
function filledUp(config: RunConfig, own: RunConfig): RunConfig {
  const { ExposedPorts, Volumes, Cmd, Entrypoint, Env, Healthcheck, User, WorkingDir, Labels, StopSignal } = config;
  const merged = mergeImage(
    {
      User,
      WorkingDir,
      StopSignal,
      ExposedPorts: ExposedPorts && Object.keys(ExposedPorts),
      Volumes: Volumes && Object.keys(Volumes),
      Env: Env && [...Env],
      Cmd: Cmd && [...Cmd],
      Entrypoint: Entrypoint && [...Entrypoint],
      Labels: Labels && { ...Labels },
      Healthcheck: Healthcheck && { ...Healthcheck, Test: [...Healthcheck.Test] },
    },
    own,
  );
  const { healthcheck } = merged;
  return withoutEmpty({
    User: merged.user,
    ExposedPorts: setOf(merged.exposedPorts),
    Env: merged.env,
    Entrypoint: merged.entrypoint,
    Cmd: merged.cmd,
    Volumes: setOf(merged.volumes),
    WorkingDir: merged.workingDir,
    Labels: merged.labels,
    StopSignal: merged.stopSignal,
    Healthcheck: healthcheck && {
      Test: healthcheck.test,
      Interval: healthcheck.interval,
      Timeout: healthcheck.timeout,
      StartPeriod: healthcheck.startPeriod,
      StartInterval: healthcheck.startInterval,
      Retries: healthcheck.retries,
    },
  });
}

function setOf(names: readonly string[] | undefined): Record<string, object> | undefined {
  return names && Object.fromEntries(names.map((name) => [name, {}]));
}

function pick(config: RunConfig, names: readonly (keyof RunConfig)[]): RunConfig {
  return Object.fromEntries(names.filter((name) => config[name] !== undefined).map((name) => [name, config[name]]));
}

/** Documents of images leave out what is not set. */
function withoutEmpty(config: { readonly [K in keyof RunConfig]?: RunConfig[K] | undefined }): RunConfig {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => {
      if (value === undefined || value === '') return false;
      return typeof value !== 'object' || Object.keys(value).length > 0;
    }),
  );
}
