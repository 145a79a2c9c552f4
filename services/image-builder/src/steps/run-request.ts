import type { RunInstruction } from '@atoll/dockerfile';
import { type RunConfig, shellOf } from '@atoll/dockerfile';
import { invalidArgument, permissionDenied } from '@atoll/errors';
import { buildV1 } from '@atoll/proto';
import type { StageState } from '../image/stage-state.ts';
import type { BuildSession } from './build-session.ts';

/** The program and arguments of a RUN. */
export function runWords(instruction: RunInstruction, config: RunConfig): readonly string[] {
  const { form, words } = instruction.command;
  if (form === 'shell') return [...shellOf(config), ...words];
  if (words.length === 0) throw invalidArgument('RUN requires at least one argument');
  return words;
}

/** @param args build args the RUN sees as variables */
export function runRequest(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  words: readonly string[],
  args: ReadonlyMap<string, string>,
  hostname: string,
): buildV1.RunStepRequest {
  const { options } = session;
  return buildV1.RunStepRequest.fromPartial({
    buildId: session.id,
    base: { layers: [...state.layers] },
    argv: [...words],
    env: [...(state.config.Env ?? []), ...[...args].map(([name, value]) => `${name}=${value}`)],
    cwd: state.config.WorkingDir || '/',
    user: state.config.User ?? '',
    networkMode: networkMode(instruction.network, options.networkMode),
    resources: {
      memory: options.memory,
      memorySwap: options.memorySwap,
      cpuShares: options.cpuShares,
      cpuQuota: options.cpuQuota,
      cpuPeriod: options.cpuPeriod,
      cpusetCpus: options.cpusetCpus,
    },
    shmSize: options.shmSize,
    extraHosts: options.extraHosts,
    hostname,
    sourceDateEpoch: BigInt(session.sourceDateEpoch),
  });
}

/** The user of the build chooses the network; a Dockerfile may only take some of it away. */
function networkMode(ofInstruction: string | undefined, ofBuild: string): string {
  const build = ofBuild === '' || ofBuild === 'bridge' ? 'default' : ofBuild;
  if (!['default', 'none', 'host'].includes(build)) {
    throw invalidArgument(`network mode ${ofBuild} is not supported for builds; use default, none or host`);
  }
  if (ofInstruction === undefined || ofInstruction === '' || ofInstruction === 'default') return build;
  if (ofInstruction === 'none') return 'none';
  if (ofInstruction !== 'host') throw invalidArgument(`invalid network mode: "${ofInstruction}"`);
  if (build !== 'host') {
    throw permissionDenied('RUN --network=host is allowed only in a build started with --network=host');
  }
  return 'host';
}
