/** A network a container is in, as far as its way out depends on it. */
export interface RouteCandidate {
  /** The network's name. */
  readonly name: string;
  readonly interface: string;
  readonly priority: number;
  readonly internal: boolean;
  /** Empty without one. */
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
}

/**
 * Docker's rule, for each family by itself: of the networks with a way out the one with the highest priority, then the first by
 * name.
 */
export function defaultRoutes(candidates: readonly RouteCandidate[]): {
  readonly ipv4: RouteCandidate | undefined;
  readonly ipv6: RouteCandidate | undefined;
} {
  const sorted = candidates
    .filter(({ internal }) => !internal)
    .sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return {
    ipv4: sorted.find(({ ipv4Gateway }) => ipv4Gateway !== ''),
    ipv6: sorted.find(({ ipv6Gateway }) => ipv6Gateway !== ''),
  };
}
