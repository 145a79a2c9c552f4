import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded, internal } from '@atoll/errors';
import type { StepList } from '../progress/step-list.ts';
import type { DockerApi } from './docker-api.ts';
import { busyboxRoot, webContext } from './image-sources.ts';
import {
  awaitPage,
  inspectWebContainer,
  requestPage,
  runWebContainer,
  WEB_IMAGE,
  type WebContainer,
} from './web-container.ts';

const CONTAINERS = 6;
const ANSWER_MS = 10_000;
const LOG_MS = 10_000;
const RECOVERY_MS = 60_000;

export interface DemoOptions {
  readonly docker: DockerApi;
  readonly steps: StepList;
  /** The power plug of a host. */
  readonly killHost: (host: string) => Promise<void>;
}

/** The main job, shown: build, run, request, logs, exec, loss of a host. Every part of it is checked. */
export class DemoRun {
  readonly #options: DemoOptions;
  #containers: readonly WebContainer[] = [];

  constructor(options: DemoOptions) {
    this.#options = options;
  }

  get containers(): readonly WebContainer[] {
    return this.#containers;
  }

  async buildImage(): Promise<void> {
    const { docker, steps } = this.#options;
    await steps.run({ id: 'base', label: 'import base image', detail: 'busybox of this machine' }, async (detail) => {
      const path = '/images/create?fromSrc=-&repo=atoll-demo/busybox&tag=latest';
      for await (const line of docker.progress(path, { method: 'POST', tar: await busyboxRoot() })) {
        if (line.status) detail(shorten(line.status));
      }
    });
    await steps.run({ id: 'build', label: `build ${WEB_IMAGE}` }, async (detail) => {
      let id = '';
      const path = `/build?t=${encodeURIComponent(WEB_IMAGE)}&dockerfile=Dockerfile&rm=1`;
      for await (const line of docker.progress(path, { method: 'POST', tar: await webContext() })) {
        if (line.stream?.startsWith('Step ')) detail(line.stream.trim());
        id = line.aux?.ID ?? id;
      }
      if (!id) throw internal('the build ended without an image');
      const history = await docker.json<readonly unknown[]>(`/images/${encodeURIComponent(WEB_IMAGE)}/history`);
      detail(`${shorten(id)}, ${history.length} steps`);
    });
  }

  async runContainers(): Promise<void> {
    const { docker, steps } = this.#options;
    await steps.run({ id: 'run', label: `run ${CONTAINERS} containers` }, async (detail) => {
      for (let n = 1; n <= CONTAINERS; n += 1) {
        const container = await runWebContainer(docker, `web-${n}`);
        this.#containers = [...this.#containers, container];
        detail(`${container.name} on ${container.host}`);
      }
      const hosts = new Set(this.#containers.map((container) => container.host));
      if (hosts.size < 2) throw internal(`all containers landed on ${[...hosts].join()}: they should be spread`);
      detail(`on ${[...hosts].sort().join(', ')}`);
    });
    await steps.run({ id: 'request', label: 'request each of them' }, async (detail) => {
      for (const container of this.#containers) detail(await awaitPage(container, ANSWER_MS));
      detail(`${this.#containers.length} pages, each from the host it named`);
    });
  }

  async followLogs(): Promise<void> {
    const container = this.#pick((found) => found.host !== 'h1');
    const label = `logs -f ${container.name} (on ${container.host})`;
    await this.#options.steps.run({ id: 'logs', label }, async (detail) => {
      const end = new AbortController();
      const late = setTimeout(() => end.abort(), LOG_MS);
      const next = this.#options.docker.logs(container.name, end.signal).next();
      // Only what is logged from now on is followed: pages are asked for until one is seen.
      const asking = setInterval(() => void requestPage(container).catch(() => undefined), 200);
      try {
        const line = await next;
        if (line.done || line.value.trim() === '') throw internal('the log ended');
        detail(line.value.trim());
      } catch (cause) {
        throw end.signal.aborted ? deadlineExceeded(`no log line in ${LOG_MS / 1000} s`, { cause }) : cause;
      } finally {
        clearTimeout(late);
        clearInterval(asking);
        end.abort();
      }
    });
  }

  async execute(): Promise<void> {
    const container = this.#pick((found) => found.host === 'h3');
    const command = ['sh', '-c', 'echo "$NAME runs on $(hostname), visits: $(cat /var/lib/visits/count)"'];
    await this.#options.steps.run(
      { id: 'exec', label: `exec ${container.name} (on ${container.host})` },
      async (detail) => {
        const { output, code } = await this.#options.docker.exec(container.name, command);
        if (code !== 0 || !output.includes(`${container.name} runs on ${container.host}`)) {
          throw internal(`exec answered ${JSON.stringify(output)} with code ${code}`);
        }
        detail(output.trim());
      },
    );
  }

  /** Kills the host that has most to lose, and waits until all of it answers from elsewhere. */
  async loseHost(): Promise<void> {
    const { steps, killHost } = this.#options;
    const host = this.#pick((found) => found.host !== 'h1').host;
    const lost = this.#containers.filter((container) => container.host === host);
    const names = lost.map((container) => container.name).join(', ');
    const started = Date.now();
    await steps.run({ id: 'kill', label: `kill host ${host}`, detail: `with ${names}` }, () => killHost(host));
    await Promise.all(
      lost.map((container) =>
        steps.run({ id: `back ${container.name}`, label: `${container.name} comes back`, depth: 1 }, async (detail) => {
          detail(`waiting: the scheduler gives ${host} up after some missed heartbeats`);
          const again = await this.#placedAnew(container, host);
          detail(`placed on ${again.host}, waiting for its page`);
          await awaitPage(again, ANSWER_MS);
          const seconds = ((Date.now() - started) / 1000).toFixed(1);
          detail(`answers from ${again.host}, ${seconds} s after the power went`);
          this.#containers = this.#containers.map((known) => (known.name === again.name ? again : known));
        }),
      ),
    );
  }

  async #placedAnew(container: WebContainer, lostHost: string): Promise<WebContainer> {
    const end = performance.now() + RECOVERY_MS;
    while (performance.now() < end) {
      const now = await inspectWebContainer(this.#options.docker, container.name);
      if (now.running && now.host !== lostHost) return now;
      await sleep(100);
    }
    throw deadlineExceeded(`${container.name} was not placed anew in ${RECOVERY_MS / 1000} s`);
  }

  #pick(fits: (container: WebContainer) => boolean): WebContainer {
    const found = this.#containers.find(fits) ?? this.#containers[0];
    if (!found) throw internal('no container runs');
    return found;
  }
}

function shorten(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
