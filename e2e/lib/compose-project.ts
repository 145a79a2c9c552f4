import { join } from 'node:path';
import { dockerHost, dockerOk, unique } from './docker.ts';
import { type RunResult, run } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');
export const PROGRAMS = {
  /** Debian 12's. */
  'compose 1.29': 'docker-compose',
  /** Unpacked by `./atoll test`. */
  'compose 2': join(ROOT, '.tools/compose/usr/libexec/docker/cli-plugins/docker-compose'),
};

/** A compose file on the cluster, taken down with its volumes at the end of the scope. */
export class Project implements AsyncDisposable {
  readonly name = unique('e2e').replace('-', '');
  readonly #program: string;
  readonly #file: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(program: string, file: string, env: Readonly<Record<string, string>> = {}) {
    this.#program = program;
    this.#file = file;
    this.#env = env;
  }

  run(...args: string[]): Promise<RunResult> {
    const env = { DOCKER_HOST: dockerHost(), DOCKER_BUILDKIT: '0', COMPOSE_ANSI: 'never', ...this.#env };
    return run(this.#program, ['-f', this.#file, '-p', this.name, ...args], { env, timeoutMs: 120_000 });
  }

  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`compose ${args.join(' ')}: code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Those its containers are on. */
  async hosts(): Promise<ReadonlySet<string>> {
    const filter = `label=com.docker.compose.project=${this.name}`;
    return new Set((await dockerOk(['ps', '--filter', filter, '--format', '{{.Label "atoll.node"}}'])).split('\n'));
  }

  /** What of the project the cluster has. */
  async objects(): Promise<string[]> {
    const label = `label=com.docker.compose.project=${this.name}`;
    const lists = [
      ['ps', '-aq'],
      ['network', 'ls', '-q'],
      ['volume', 'ls', '-q'],
    ];
    const found = await Promise.all(lists.map((list) => dockerOk([...list, '--filter', label])));
    return found.join('\n').split('\n').filter(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run('down', '-v', '-t', '1');
  }
}
