import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { type RunOptions, type RunResult, run } from './run.ts';
import { until } from './until.ts';

let chosen: string | undefined;

/** From here on this file's calls go to another cluster; undefined: to the one of the whole run. */
export function useDockerHost(host: string | undefined): void {
  chosen = host;
}

export const dockerHost = (): string => chosen ?? inject('dockerHost');

const environment = (): Record<string, string> => ({
  DOCKER_HOST: dockerHost(),
  DOCKER_BUILDKIT: '0',
  DOCKER_CLI_HINTS: '0',
});

/** The stock docker CLI on the cluster's socket, whatever its outcome. */
export function docker(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run('docker', args, { ...options, env: { ...environment(), ...options.env } });
}

/** The same, for calls that have to succeed; standard output without its last line break. */
export async function dockerOk(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await docker(args, options);
  if (result.code !== 0) {
    throw new Error(
      `docker ${args.join(' ')}: code ${result.code}${result.signal ?? ''}\n${result.stderr}${result.stdout}`,
    );
  }
  return result.stdout.replace(/\n$/, '');
}

/** A docker CLI that goes on in the background (logs -f, events, attach). */
export class DockerStream implements AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly closed: Promise<number | null>;
  stdout = '';
  stderr = '';

  /** With `terminal` the CLI has one of 40 rows and 100 columns, as in a person's shell. */
  constructor(args: readonly string[], options: { readonly terminal?: boolean } = {}) {
    const quoted = ['docker', ...args].map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(' ');
    const [program, words] = options.terminal
      ? ['script', ['-qec', `stty rows 40 cols 100; exec ${quoted}`, '/dev/null']]
      : ['docker', args];
    this.child = spawn(program, words, { env: { ...process.env, ...environment() } });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.closed = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** Waits for text on standard output, 20 s at most. */
  async saw(text: string): Promise<void> {
    await until(`${JSON.stringify(text)} in the output`, async () => this.stdout.includes(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.closed;
  }
}

export const unique = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`;

/** Runs `docker run -d` on a named host and removes the container at the end of the scope. */
export async function runOn(host: string, args: readonly string[], command: readonly string[]): Promise<TestContainer> {
  const name = unique('e2e');
  await dockerOk([
    'run',
    '-d',
    '--name',
    name,
    '-l',
    `atoll.constraints=node.hostname==${host}`,
    ...args,
    'busybox',
    ...command,
  ]);
  return new TestContainer(name);
}

export class TestContainer implements AsyncDisposable {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  async inspect<T = string>(format: string): Promise<T> {
    return JSON.parse(await dockerOk(['inspect', '-f', `{{json ${format}}}`, this.name])) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await docker(['rm', '-f', '-v', this.name]);
  }
}
