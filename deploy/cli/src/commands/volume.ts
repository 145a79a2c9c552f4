import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument } from '@atoll/errors';
import { type Command, Option } from 'commander';
import { Counter, openBackup, saveBackup } from '../volumes/backup-file.ts';
import { backupStream, type KnownBegin } from '../volumes/backup-stream.ts';
import { CopyView } from '../volumes/copy-view.ts';
import { restoreBackup } from '../volumes/restore-backup.ts';
import { type CopyProgress, VolumeApi } from '../volumes/volume-api.ts';
import {
  type ClusterFlags,
  collectPairs,
  pathsOf,
  requireRunning,
  wholeNumber,
  withCluster,
} from './command-context.ts';
import { untilInterrupted } from './until-interrupted.ts';

const TIDY_MS = 3_000;

export interface Job {
  readonly api: VolumeApi;
  readonly signal: AbortSignal;
  readonly show: (progress: CopyProgress) => void;
}

export function addVolume(program: Command): void {
  const volume = program.command('volume').description('copies of volumes; docker volume does the rest');
  addBackup(volume);
  addRestore(volume);
  addClone(volume);
  addMove(volume);
}

interface BackupFlags extends ClusterFlags {
  readonly output: string;
  readonly stop?: boolean;
  readonly live?: boolean;
  readonly compress: string;
  readonly timeout?: number;
}

function addBackup(volume: Command): void {
  withCluster(
    volume
      .command('backup <volume>')
      .description('write an archive of a volume; its users are paused meanwhile')
      .option('-o, --output <file>', 'where to; - is standard output', '-')
      .option('--stop', 'stop its users meanwhile, and start them again')
      .option('--live', 'let its users go on: what they write meanwhile may be in it in part')
      .addOption(new Option('-z, --compress <how>').choices(['none', 'gzip', 'zstd']).default('none'))
      .option('--timeout <seconds>', 'with --stop: how long each may take to stop', wholeNumber),
  ).action((name: string, flags: BackupFlags) =>
    work(flags, async ({ api, signal, show }) => {
      if (flags.stop && flags.live) throw invalidArgument('give --stop or --live, not both');
      if (flags.output === '-' && process.stdout.isTTY)
        throw invalidArgument('an archive is nothing for a terminal: give -o FILE, or redirect standard output');
      const query = {
        access: flags.stop ? 'stop' : flags.live ? 'live' : 'pause',
        compress: flags.compress,
        ...(flags.timeout !== undefined && { timeout: String(flags.timeout) }),
      };
      const open = ({ created, bytes, sha256 }: Partial<KnownBegin> = {}): Promise<AsyncIterable<Buffer>> => {
        const known = bytes === undefined ? {} : { created: created ?? '', skip: String(bytes), sha256: sha256 ?? '' };
        return api.call({ method: 'GET', path: pathOf(name, 'backup'), query: { ...query, ...known }, signal });
      };
      // Users are not stopped again and again without being asked for.
      const goesOn = !flags.stop && flags.compress === 'none';
      const say = (text: string): void => show({ status: text });
      const counter = new Counter((bytes) => show({ status: 'copying', progressDetail: { current: bytes } }));
      const source = (restart: (() => Promise<void>) | undefined) =>
        backupStream({ open, goesOn, restart, say, signal });
      await saveBackup(flags.output, source, counter, signal);
    }),
  );
}

function addRestore(volume: Command): void {
  withCluster(
    volume
      .command('restore <volume>')
      .description('make a volume from an archive')
      .option('-i, --input <file>', 'where from; - is standard input', '-')
      .option('--host <node>', 'host it is to be on; otherwise the scheduler chooses')
      .option('-f, --force', 'in place of the files of an unused volume'),
  ).action(
    (
      name: string,
      flags: ClusterFlags & { readonly input: string; readonly host?: string; readonly force?: boolean },
    ) =>
      work(flags, async ({ api, signal, show }) => {
        const query = { host: flags.host ?? '', force: flags.force ? '1' : '0' };
        await restoreBackup(await openBackup(flags.input), { api, path: pathOf(name, 'restore'), query, show, signal });
        process.stdout.write(`${name}\n`);
      }),
  );
}

function addClone(volume: Command): void {
  withCluster(
    volume
      .command('clone <volume> <new-name>')
      .description('copy a volume on its host, sharing blocks where the file system can')
      .option('--live', 'let its users go on: what they write meanwhile may be in it in part')
      .option('--label <name=value>', 'label of the new volume; repeatable', collectPairs),
  ).action(
    (
      name: string,
      newName: string,
      flags: ClusterFlags & { readonly live?: boolean; readonly label?: Record<string, string> },
    ) =>
      work(flags, async ({ api, signal, show }) => {
        const json = { Name: newName, Live: flags.live ?? false, Labels: flags.label ?? {} };
        await api.follow({ method: 'POST', path: pathOf(name, 'clone'), json, signal }, show);
        process.stdout.write(`${newName}\n`);
      }),
  );
}

interface MoveFlags extends ClusterFlags {
  readonly recreate?: boolean;
  readonly timeout?: number;
}

function addMove(volume: Command): void {
  withCluster(
    volume
      .command('move <volume...>')
      .usage('[options] <volume>... <node>')
      .description('ship volumes to another host, all of them in one step')
      .option(
        '--recreate',
        'make the containers that use them anew there, with all their volumes, without what they wrote outside of those',
      )
      .option('--timeout <seconds>', 'how long each of them may take to stop', wholeNumber),
  ).action((names: string[], flags: MoveFlags) =>
    work(flags, async (job) => {
      const [name, node, ...more] = [names[0], names.at(-1), ...names.slice(1, -1)];
      if (name === undefined || node === undefined || names.length < 2)
        throw invalidArgument('a move needs a volume, or several, and the node they are to be on');
      const options = { node, recreate: flags.recreate ?? false, timeout: flags.timeout, others: more };
      for (const moved of await moveVolume(job, name, options)) process.stdout.write(`${moved}\n`);
    }),
  );
}

/** The names of all volumes that have moved. Errors: what the cluster says, which is why none did. */
export async function moveVolume(
  { api, signal, show }: Job,
  name: string,
  options: {
    readonly node: string;
    readonly recreate: boolean;
    readonly timeout?: number | undefined;
    readonly others?: readonly string[];
  },
): Promise<string[]> {
  const { node: Host, recreate: Recreate, timeout, others: With = [] } = options;
  const json = { Host, Recreate, With, ...(timeout !== undefined && { Timeout: timeout }) };
  const moved: string[] = [];
  await api.follow({ method: 'POST', path: pathOf(name, 'move'), json, signal }, (progress) => {
    show(progress);
    if (progress.status === 'done' && progress.id !== undefined) moved.push(progress.id);
  });
  return moved;
}

/** Runs a job until it ends or a person interrupts it; the cluster hears of that by the end of the connection. */
export async function work(flags: ClusterFlags, run: (job: Job) => Promise<void>): Promise<void> {
  const paths = pathsOf(flags);
  await requireRunning(paths);
  const view = new CopyView();
  let running: Promise<void> | undefined;
  try {
    const api = new VolumeApi(paths.dockerSocket);
    await untilInterrupted((signal) => {
      running = run({ api, signal, show: (progress) => view.show(progress) });
      return running;
    });
  } finally {
    // An interrupted job takes away what it has begun.
    const tidied = new AbortController();
    const late = sleep(TIDY_MS, undefined, { signal: tidied.signal }).catch(() => undefined);
    await Promise.race([running?.catch(() => undefined), late]);
    tidied.abort();
    view.close();
  }
}

const pathOf = (volume: string, verb: string): string => `/atoll/volumes/${encodeURIComponent(volume)}/${verb}`;
