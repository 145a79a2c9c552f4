import { invalidArgument } from '@atoll/errors';
import type { buildV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import type { BuildHost } from '../../steps/build-host.ts';
import { copyStep } from '../../steps/copy-step.ts';
import { digestPaths } from '../../steps/digest-paths.ts';
import { makeDirectory } from '../../steps/make-directory.ts';
import { runStep } from '../../steps/run-step.ts';

type Service = buildV1.BuildStepServiceService;

/** Only the builder sends steps. */
export const BUILD_STEP_SERVICE_ROLES: AllowTable<Service> = {
  runStep: ['image-builder'],
  copyStep: ['image-builder'],
  makeDirectory: ['image-builder'],
  digestPaths: ['image-builder'],
};

/** The steps of builds that run on this host. */
export function buildStepService(build: BuildHost): Handlers<Service> {
  return {
    runStep: (request, { signal }) => runStep(build, request, signal),
    copyStep: async (requests, { signal }) => {
      const input = requests[Symbol.asyncIterator]();
      const first = await input.next();
      const message = first.done ? undefined : first.value.message;
      if (message?.$case !== 'start') throw invalidArgument('the first message of a copy must be its start');
      return { result: await copyStep(build, message.value, dataOf(input), signal) };
    },
    makeDirectory: async (request, { signal }) => ({ result: await makeDirectory(build, request, signal) }),
    digestPaths: async (request, { signal }) => ({ digest: await digestPaths(build, request, signal) }),
  };
}

async function* dataOf(input: AsyncIterator<buildV1.CopyStepRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await input.next();
    if (next.done) return;
    if (next.value.message?.$case === 'data') yield next.value.message.value;
  }
}
