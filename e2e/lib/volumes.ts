import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { docker, dockerOk, unique } from './docker.ts';
import { type RunResult, run } from './run.ts';

const ATOLL = join(import.meta.dirname, '../../atoll');
const where = (): string[] => ['--name', inject('clusterName'), '--data-root', inject('dataRoot')];

/** `atoll <noun> <verb> <args>` on the cluster of the whole run, whatever its outcome. */
export function atollCall(noun: string, verb: string, ...args: string[]): Promise<RunResult> {
  return run(ATOLL, [noun, verb, ...where(), ...args], { timeoutMs: 180_000 });
}

/** The same, for calls that have to succeed. */
export async function atollOk(noun: string, verb: string, ...args: string[]): Promise<string> {
  const result = await atollCall(noun, verb, ...args);
  if (result.code !== 0)
    throw new Error(`atoll ${noun} ${verb} ${args.join(' ')}: code ${result.code}\n${result.stderr}`);
  return result.stdout.trim();
}

/** One that goes on, to be interrupted; `code` is how it ends. */
export function atollStart(
  noun: string,
  verb: string,
  ...args: string[]
): { readonly child: ChildProcess; readonly code: Promise<number | null> } {
  const child = spawn(ATOLL, [noun, verb, ...where(), ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, code };
}

/** A volume that is gone at the end of the scope, with whatever uses it. */
export class TestVolume implements AsyncDisposable {
  readonly name: string;

  constructor(name = unique('vol')) {
    this.name = name;
  }

  /** Runs a script with the volume at /v, on a host if one is given, and gives its output. */
  sh(script: string, host?: string): Promise<string> {
    const constraint = host === undefined ? [] : ['-l', `atoll.constraints=node.hostname==${host}`];
    return dockerOk(['run', '--rm', '-v', `${this.name}:/v`, ...constraint, 'busybox', 'sh', '-ec', script]);
  }

  host(): Promise<string> {
    return dockerOk(['volume', 'inspect', '-f', '{{index .Labels "atoll.node"}}', this.name]);
  }

  mountpoint(): Promise<string> {
    return dockerOk(['volume', 'inspect', '-f', '{{.Mountpoint}}', this.name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const users = (await dockerOk(['ps', '-aq', '--filter', `volume=${this.name}`])).split('\n').filter(Boolean);
    if (users.length > 0) await docker(['rm', '-f', ...users]);
    await docker(['volume', 'rm', '-f', this.name]);
  }
}

/** Which hosts have files of a volume. */
export function copiesOf(volume: string): string[] {
  return inject('hosts').filter((host) => existsSync(join(inject('dataRoot'), 'hosts', host, 'volumes', volume)));
}

/** What operations that go on, or were left, have on the hosts. */
export function unfinished(): string[] {
  return inject('hosts').flatMap((host) =>
    readdirSync(join(inject('dataRoot'), 'hosts', host, 'volume-copies')).map((name) => `${host}/${name}`),
  );
}
