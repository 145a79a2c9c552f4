import type { RouteFactories } from '../../routing/route-factories.ts';
import type { ExecBackend } from './backend.ts';
import { createExec } from './create.ts';
import { inspectExec, resizeExec } from './inspect.ts';
import { startExec } from './start.ts';

export const EXEC_ROUTES = {
  ContainerExec: createExec,
  ExecStart: startExec,
  ExecInspect: inspectExec,
  ExecResize: resizeExec,
} as const satisfies RouteFactories<ExecBackend>;
