import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded, internal } from '@atoll/errors';
import type { DockerApi } from './docker-api.ts';

export const WEB_IMAGE = 'atoll-demo/web';
const REQUEST_MS = 2000;

/** A container of the web application as the API shows it. */
export interface WebContainer {
  readonly name: string;
  readonly id: string;
  readonly host: string;
  /** On this machine. */
  readonly port: number;
  readonly running: boolean;
}

interface Inspection {
  readonly Id: string;
  readonly State: { readonly Running: boolean };
  readonly Node?: { readonly Name: string };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>;
  };
}

/** `docker run -d --name … --restart always -p 8080 --uts host -e NAME=… atoll-demo/web` */
export async function runWebContainer(docker: DockerApi, name: string): Promise<WebContainer> {
  await docker.json(`/containers/create?name=${name}`, {
    method: 'POST',
    json: {
      Image: WEB_IMAGE,
      Env: [`NAME=${name}`],
      HostConfig: {
        RestartPolicy: { Name: 'always' },
        PortBindings: { '8080/tcp': [{ HostPort: '' }] },
        // The page says its host's name: the container has no host name of its own.
        UTSMode: 'host',
      },
    },
  });
  await docker.json(`/containers/${name}/start`, { method: 'POST' });
  return inspectWebContainer(docker, name);
}

export async function inspectWebContainer(docker: DockerApi, name: string): Promise<WebContainer> {
  const found = await docker.json<Inspection>(`/containers/${name}/json`);
  return {
    name,
    id: found.Id,
    host: found.Node?.Name ?? '',
    port: Number(found.NetworkSettings.Ports['8080/tcp']?.[0]?.HostPort ?? 0),
    running: found.State.Running,
  };
}

/** Its page's text. Errors: internal when it is not the page of this container on this host. */
export async function requestPage(container: WebContainer): Promise<string> {
  const url = `http://127.0.0.1:${container.port}/`;
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS), headers: { connection: 'close' } });
  const text = await response.text();
  const sentence = /<p>(.*)<\/p>/.exec(text)?.[1]?.replace(/<\/?b>/g, '') ?? '';
  if (!sentence.includes(`container ${container.name} on host ${container.host},`)) {
    throw internal(`${url} answered ${response.status} ${JSON.stringify(text.slice(0, 200))}`);
  }
  return sentence;
}

/** Asks until the page comes. Errors: deadline-exceeded with the last failure. */
export async function awaitPage(container: WebContainer, timeoutMs: number): Promise<string> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await requestPage(container);
    } catch (cause) {
      if (performance.now() > end) {
        const why =
          cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
        throw deadlineExceeded(`${container.name} on ${container.host} does not answer: ${why}`, { cause });
      }
      await sleep(50);
    }
  }
}
