import { failedPrecondition } from '@atoll/errors';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ClusterPaths, DEFAULT_NAME } from '../cluster/cluster-paths.ts';
import { type ClusterState, knownDataRoot, readLiveState } from '../cluster/cluster-state.ts';

export const USERNS_REMAP_HELP =
  'run containers in user namespaces with these ids: a user or user:group of /etc/subuid, or 100000:65536; "" for none';

export function selinuxOption(): Option {
  return new Option(
    '--selinux <use>',
    'auto: containers have SELinux labels where the host uses SELinux and its policy knows them; off: none',
  ).choices(['auto', 'off']);
}

export interface ClusterFlags {
  readonly name: string;
  readonly dataRoot?: string;
}

/** Adds the options that say which cluster of this machine is meant. */
export function withCluster(command: Command, defaultName = DEFAULT_NAME): Command {
  return command
    .addOption(new Option('--name <name>', 'cluster of this machine').env('ATOLL_NAME').default(defaultName))
    .addOption(
      new Option(
        '--data-root <folder>',
        'where its data is (default: where it is while it runs, else /var/lib/atoll)',
      ).env('ATOLL_DATA_ROOT_DIR'),
    );
}

/** A cluster that runs is found by its name, wherever its data is. */
export function pathsOf({ name, dataRoot }: ClusterFlags): ClusterPaths {
  const paths = new ClusterPaths({ name, ...(dataRoot !== undefined && { dataRoot }) });
  const known = dataRoot === undefined ? knownDataRoot(paths) : undefined;
  return known === undefined ? paths : new ClusterPaths({ name, dataRoot: known });
}

/** Errors: failed-precondition when no cluster of that name runs. */
export async function requireRunning(paths: ClusterPaths): Promise<ClusterState> {
  const state = await readLiveState(paths);
  const named = paths.name === DEFAULT_NAME ? '' : ` --name ${paths.name}`;
  if (!state)
    throw failedPrecondition(`no cluster ${paths.name} runs on this machine: start it with ./atoll up${named}`);
  return state;
}

/** Namespaces, bridges and cgroups are root's. */
export function requireRoot(what: string): void {
  if (process.getuid?.() !== 0)
    throw failedPrecondition(`${what} needs root: sudo ./atoll ${process.argv.slice(2).join(' ')}`);
}

/** Collects `name=value` options given several times. */
export function collectPairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

export const RUNTIME_HELP = 'OCI runtime of the hosts beside the native one, for docker run --runtime; repeatable';

export function collectRuntimes(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*=\/[^,]+$/.test(text)) {
    throw new InvalidArgumentError('Give name=path, an absolute path without a comma.');
  }
  return collectPairs(text, before);
}

export function socketMountsOption(): Option {
  return new Option(
    '--socket-mounts <choice>',
    'whether containers may mount the Docker socket, which makes them root on all hosts (default: as last time, else allow)',
  ).choices(['allow', 'refuse']);
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('Not a whole number.');
  return value;
}
