import type { runtimeV1 } from '@atoll/proto';
import type { AsyncQueue } from '@atoll/rpc';
import type { AttachedProcess, TerminalInput } from '../../hijack/terminal-io.ts';
import type { ContainerLookup, ContainerNews } from '../container/backend.ts';
import type { ContainerView } from '../container/container-view.ts';

export interface ExecStartOptions {
  readonly tty: boolean;
  readonly height: number;
  readonly width: number;
}

/** Processes added to running containers. Their ids are made by the nodes. */
export interface ExecBackend extends ContainerLookup, ContainerNews {
  /** @returns the id of the exec. @throws conflict when the container does not run */
  createExec(view: ContainerView, spec: runtimeV1.ExecSpec, signal: AbortSignal): Promise<string>;
  /** Resolves when the process runs. @throws not-found for an unknown id, conflict when it was started before */
  startExec(
    execId: string,
    options: ExecStartOptions,
    input: AsyncQueue<TerminalInput>,
    signal: AbortSignal,
  ): Promise<AttachedProcess>;
  startDetachedExec(execId: string, options: ExecStartOptions, signal: AbortSignal): Promise<void>;
  inspectExec(execId: string, signal: AbortSignal): Promise<runtimeV1.InspectExecResponse>;
  resizeExec(
    execId: string,
    size: { readonly height: number; readonly width: number },
    signal: AbortSignal,
  ): Promise<void>;
}
