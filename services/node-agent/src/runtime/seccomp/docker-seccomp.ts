import type { CapabilityName } from '../capabilities.ts';
import { compileSeccomp } from './bpf-compiler.ts';
import { dockerPolicy } from './docker-policy.ts';

const MAX_CACHED = 64;
const cache = new Map<string, Uint8Array>();

/** Docker's default seccomp program for a container with these capabilities. Compiled once for each set. */
export function dockerSeccompProgram(capabilities: ReadonlySet<CapabilityName>): Uint8Array {
  const key = [...capabilities].sort().join();
  const known = cache.get(key);
  if (known !== undefined) return known;
  const program = compileSeccomp(dockerPolicy(capabilities));
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(key, program);
  return program;
}
