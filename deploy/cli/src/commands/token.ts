import type { Command } from 'commander';
import { requestJoinToken } from '../identity/join-token.ts';
import { type ClusterFlags, pathsOf, requireRunning, wholeNumber, withCluster } from './command-context.ts';

interface TokenFlags extends ClusterFlags {
  readonly ttl: number;
  readonly rotate?: boolean;
  readonly quiet?: boolean;
}

export function addToken(program: Command): void {
  withCluster(program.command('token'))
    .description('print the line with which a machine joins')
    .option('--ttl <seconds>', 'how long the token holds; 0 = until rotated', wholeNumber, 0)
    .option('--rotate', 'make a new token and refuse all older ones')
    .option('-q, --quiet', 'only the token')
    .action(async (flags: TokenFlags) => {
      const paths = pathsOf(flags);
      const state = await requireRunning(paths);
      const scheduler = state.endpoints['scheduler'] ?? '';
      const token = await requestJoinToken({
        scheduler,
        tlsDir: paths.tlsDir('operator'),
        ttlSeconds: flags.ttl,
        rotate: flags.rotate ?? false,
      });
      process.stdout.write(flags.quiet ? `${token}\n` : `./atoll join --token ${token} --scheduler ${scheduler}\n`);
    });
}
