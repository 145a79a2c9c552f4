import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { CapabilityName } from '../capabilities.ts';
import { compileSeccomp } from './bpf-compiler.ts';
import { INSTRUCTION_BYTES, MAX_INSTRUCTIONS } from './bpf-instruction.ts';
import { profilePolicy } from './profile-policy.ts';

const MAX_BYTES = MAX_INSTRUCTIONS * INSTRUCTION_BYTES;
/** A container's execs have its profile and mostly its capabilities. */
const cache = new WeakMap<containerV1.SeccompProfile, Map<string, Uint8Array>>();

/** The program of a user's profile. `kernel` is the release. Throws invalid-argument when the kernel would not take it. */
export function profileProgram(
  profile: containerV1.SeccompProfile,
  capabilities: ReadonlySet<CapabilityName>,
  kernel: string,
): Uint8Array {
  const programs = cache.get(profile) ?? new Map<string, Uint8Array>();
  cache.set(profile, programs);
  const key = [...capabilities].sort().join();
  const known = programs.get(key);
  if (known) return known;
  const program = compileSeccomp(profilePolicy(profile, capabilities, kernel));
  if (program.length > MAX_BYTES) {
    throw invalidArgument(
      `seccomp profile: its program has ${program.length / 8} instructions, and the kernel takes ${MAX_BYTES / 8}`,
    );
  }
  programs.set(key, program);
  return program;
}
