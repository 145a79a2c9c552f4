import { conflict } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { firstProcess } from '../runtime/first-process.ts';
import type { NamespaceMode } from '../runtime/plan.ts';
import type { Container } from './container.ts';

const S = containerV1.ContainerState;
const PREFIX = 'container:';
const LONGEST_DELAY_MS = 5_000;
/** A container in the network of one that is in the network of another, and so on. */
const MAX_CHAIN = 16;

/** The other containers of this host, by id. */
export type FindContainer = (id: string) => Container | undefined;

/** What a container has of others. */
export interface Shared {
  readonly namespaces: Partial<Readonly<Record<'pid' | 'net' | 'ipc' | 'uts', NamespaceMode>>>;
  /** The container whose `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` it has too. */
  readonly filesOf?: string;
}

/** Does it need another container to run before it can be prepared? */
export function needsNeighbours(spec: containerV1.ContainerSpec | undefined): boolean {
  return neighboursOf(spec).length > 0;
}

/**
 * How long a restart has to be put off once more because one of those is about to start again itself, as after a reboot of the
 * host; undefined when nothing is to be waited for.
 */
export function neighbourDelay(
  spec: containerV1.ContainerSpec | undefined,
  find: FindContainer,
  delayMs: number,
): number | undefined {
  const waits = neighboursOf(spec).some((id) => find(id)?.status.state === S.RESTARTING);
  return waits ? Math.min(delayMs * 2, LONGEST_DELAY_MS) : undefined;
}

function neighboursOf(spec: containerV1.ContainerSpec | undefined): readonly string[] {
  const modes = [spec?.pidMode, spec?.ipcMode, spec?.utsMode, spec?.network?.mode];
  const joined = modes.flatMap((mode) => (mode?.startsWith(PREFIX) ? [mode.slice(PREFIX.length)] : []));
  return [...joined, ...(spec?.links ?? []).map(({ containerId }) => containerId)];
}

/** The namespaces to join, as they are now. Throws conflict in docker's words when the other container does not run. */
export async function sharedWithNeighbours(spec: containerV1.ContainerSpec, find: FindContainer): Promise<Shared> {
  const join = async (mode: string, what: string): Promise<NamespaceMode | undefined> => {
    if (!mode.startsWith(PREFIX)) return undefined;
    const other = running(mode.slice(PREFIX.length), what, find);
    if (what === 'IPC') requireShareable(other);
    return { mode: 'join', process: await firstProcess(other.bundle) };
  };
  const netMode = spec.network?.mode ?? '';
  const [pid, ipc, uts, net] = await Promise.all([
    join(spec.pidMode, 'PID namespace'),
    join(spec.ipcMode, 'IPC'),
    join(spec.utsMode, 'UTS namespace'),
    join(netMode, 'network'),
  ]);
  return {
    namespaces: { ...(pid && { pid }), ...(ipc && { ipc }), ...(uts && { uts }), ...(net && { net }) },
    ...(net ? { filesOf: networkOwner(netMode, find) } : {}),
  };
}

function running(id: string, what: string, find: FindContainer): Container {
  const other = find(id);
  const cannot = `cannot join ${what} of container ${id}`;
  if (!other) throw conflict(`${cannot}: No such container: ${id}`);
  const { state } = other.status;
  if (state === S.RESTARTING) {
    throw conflict(`${cannot}: container ${id} is restarting, wait until the container is running`);
  }
  if (state !== S.RUNNING && state !== S.PAUSED) throw conflict(`${cannot}: container ${id} is not running`);
  return other;
}

function requireShareable({ id, record }: Container): void {
  const mode = record.spec?.ipcMode ?? '';
  if (mode === 'shareable' || mode === 'host' || mode.startsWith(PREFIX)) return;
  throw conflict(
    `cannot join IPC of container ${id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  );
}

/** Whose network it is at the end of the chain. */
function networkOwner(mode: string, find: FindContainer): string {
  let id = mode.slice(PREFIX.length);
  for (let step = 0; step < MAX_CHAIN; step++) {
    const next = find(id)?.record.spec?.network?.mode ?? '';
    if (!next.startsWith(PREFIX)) return id;
    id = next.slice(PREFIX.length);
  }
  throw conflict(`cannot join network of container ${id}: more than ${MAX_CHAIN} containers join one another`);
}
