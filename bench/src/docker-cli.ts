import { execFileSync } from 'node:child_process';
import type { Engine } from './engine.ts';

/** The stock CLI on an engine; gives what it prints, throws when it fails. */
export function cliOf(engine: Engine): (...args: string[]) => string {
  const env = { ...process.env, DOCKER_HOST: engine.dockerHost };
  return (...args) => execFileSync('docker', args, { env, encoding: 'utf8' }).trim();
}
