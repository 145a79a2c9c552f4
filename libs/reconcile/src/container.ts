/** What is wanted of a container, as far as decisions need it. */
export interface DesiredContainer {
  readonly id: string;
  readonly nodeId: string;
  readonly desired: 'created' | 'running' | 'stopped' | 'removed';
  readonly generation: bigint;
  /** Restart policy: `no`, `always`, `unless-stopped`, `on-failure`. */
  readonly restart: string;
  readonly autoRemove: boolean;
  /** Files that exist on its host only (a named volume, a bind mount), or undefined when it may run anywhere. */
  readonly tiedTo: string | undefined;
}

/** What a host says of a container it has. */
export interface ReportedContainer {
  readonly id: string;
  readonly state:
    | 'creating'
    | 'created'
    | 'running'
    | 'paused'
    | 'restarting'
    | 'exited'
    | 'dead'
    | 'removing'
    | 'removed';
  readonly generation: bigint;
}

/** Does a lost host's container come back elsewhere by itself? */
export function survivesItsHost(container: DesiredContainer): boolean {
  return container.restart === 'always' || container.restart === 'unless-stopped';
}
