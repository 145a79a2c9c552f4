import type { DockerClient } from './docker-client.ts';

/** Creates a container that runs `true`, starts it, waits for its end and removes it. */
export async function runContainer(
  client: DockerClient,
  networkMode: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const created = await client.call('POST', '/containers/create', {
    Image: 'busybox',
    Cmd: ['true'],
    HostConfig: { NetworkMode: networkMode, ...more },
  });
  const { Id } = JSON.parse(created) as { Id: string };
  // Its answer begins when the wait is on: dockerd does not see an end that comes before.
  const exited = await client.begin('POST', `/containers/${Id}/wait?condition=next-exit`);
  await client.call('POST', `/containers/${Id}/start`);
  await exited();
  await client.call('DELETE', `/containers/${Id}`);
}
