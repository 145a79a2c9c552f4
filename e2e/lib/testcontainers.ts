import { dockerHost } from './docker.ts';
import { buildReaperImage } from './tool-images.ts';

const REAPER = 'e2e-reaper:1';

/**
 * What processes with testcontainers need in their environment: the cluster, and a reaper that can be had here. It waits two seconds
 * for a client to come again before it removes what was the client's.
 */
export function testcontainersEnvironment(): Readonly<Record<string, string>> {
  return {
    DOCKER_HOST: dockerHost(),
    DOCKER_BUILDKIT: '0',
    RYUK_CONTAINER_IMAGE: REAPER,
    TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT: '2s',
    TESTCONTAINERS_RYUK_TEST_LABEL: 'false',
  };
}

/** For this process, with a reaper of its own: others do not find it, so what is theirs does not wait for our end. */
export async function useTestcontainers(): Promise<void> {
  await buildReaperImage(REAPER);
  Object.assign(process.env, testcontainersEnvironment(), { TESTCONTAINERS_RYUK_TEST_LABEL: 'true' });
}
