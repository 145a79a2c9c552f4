/** What of a container's spec decides which user namespace it can be in. */
export interface UserNamespaceWishes {
  readonly usernsMode: string;
  readonly pidMode: string;
  /** Empty or `native` for the one that makes user namespaces. */
  readonly runtime: string;
  readonly network?: { readonly mode: string } | undefined;
  readonly security?: { readonly privileged: boolean; readonly writableCgroups: boolean } | undefined;
}

const WHEN = 'when user namespaces are enabled: use --userns=host';

/** Why a container cannot run on a host that gives containers user namespaces, in docker's words; undefined when it can. */
export function needsHostUsers(wishes: UserNamespaceWishes): string | undefined {
  const { usernsMode, pidMode, runtime, network, security } = wishes;
  if (usernsMode === 'host') return undefined;
  if (runtime !== '' && runtime !== 'native') return `runtime ${runtime} cannot be had ${WHEN}`;
  if (security?.privileged) {
    return 'privileged mode is incompatible with user namespaces. You must run the container in the host namespace (--userns=host) when running privileged mode';
  }
  if (network?.mode === 'host') return `cannot share the host's network namespace ${WHEN}`;
  if (pidMode === 'host') return `cannot share the host PID namespace ${WHEN}`;
  return security?.writableCgroups ? `security option writable-cgroups cannot be had ${WHEN}` : undefined;
}
