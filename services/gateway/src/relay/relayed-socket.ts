const CONTAINERS = new WeakMap<object, string>();

/** Notes which container a connection is of; its agent has vouched for it. */
export function markRelayed(socket: object, containerId: string): void {
  CONTAINERS.set(socket, containerId);
}

/**
 * The container whose program is at the other end of a connection; undefined for clients that reach a gateway themselves. This is what
 * rights of single containers would go by: today all that may connect may do everything.
 */
export function containerOf(socket: object): string | undefined {
  return CONTAINERS.get(socket);
}
