const PATH = /^\/relay\/([0-9a-f]{64})$/;

/** Path at a gateway's listener for agents: upgraded, the connection is one of that container to the Docker API. */
export function relayPath(containerId: string): string {
  return `/relay/${containerId}`;
}

/** The container such a path names; undefined for any other. */
export function containerOfRelay(path: string): string | undefined {
  return PATH.exec(path)?.[1];
}
