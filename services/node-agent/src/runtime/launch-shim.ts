import { encodeFrame, FRAME } from './frames.ts';
import type { ContainerPlan, ProcessIdentity } from './plan.ts';
import { encodeContainerPlan } from './plan-encoder.ts';
import { ShimClient } from './shim-client.ts';
import type { ShimSpawner } from './shim-spawner.ts';
import type { ShimState } from './shim-state.ts';

/** A file of the bundle, written by the shim before it does anything else. */
export interface BundleFile {
  readonly name: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

export interface PreparedContainer {
  /** The connection that launched it: until the start, the container ends with it. */
  readonly client: ShimClient;
  readonly shim: ProcessIdentity;
  /** The container's first process, waiting for the start. */
  readonly init: ProcessIdentity;
  /** Limits that this host cannot apply, for Docker's "Warnings"; empty when there are none. */
  readonly warnings: string;
}

export interface Launch {
  /** A folder of mode 0700, made when it is missing. */
  readonly bundle: string;
  readonly files: readonly BundleFile[];
  readonly plan: ContainerPlan;
}

/**
 * Has a shim prepare everything of the plan up to the exec. When this rejects, also by an abort, nothing is left of the attempt but
 * what is in the bundle. Once the container is started its shim outlives this process.
 */
export async function launchShim(
  spawner: ShimSpawner,
  { bundle, files, plan }: Launch,
  onState: (state: ShimState) => void,
  signal: AbortSignal,
): Promise<PreparedContainer> {
  const frames = [encodeFrame(FRAME.run, Buffer.from(bundle)), ...files.map(encodeFile)];
  const planned = encodeContainerPlan(plan);
  const client = await ShimClient.launch(
    await spawner.connect(signal),
    { before: Buffer.concat(frames), plan: planned },
    onState,
    signal,
  );
  return { client, ...decodePrepared(client.prepared) };
}

/** [u32 mode][name][zero][bytes] */
function encodeFile({ name, mode, bytes }: BundleFile): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(mode, 0);
  return encodeFrame(FRAME.file, Buffer.concat([head, Buffer.from(`${name}\0`), bytes]));
}

function decodePrepared(payload: Buffer): Omit<PreparedContainer, 'client'> {
  const identity = (at: number): ProcessIdentity => ({
    pid: payload.readInt32LE(at),
    startTicks: payload.readBigUInt64LE(at + 4),
  });
  return { shim: identity(0), init: identity(12), warnings: payload.toString('utf8', 24) };
}
