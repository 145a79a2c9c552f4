import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CHECKOUT, natsServer } from '../cluster/checkout.ts';
import { serverVersion } from '../supervisor/nats-durability.ts';

export function addVersion(program: Command): void {
  program
    .command('version')
    .description('versions of Atoll, Node and nats-server')
    .action(async () => {
      const { version } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
      process.stdout.write(`atoll ${version}\nnode ${process.versions.node}\nnats-server ${await natsVersion()}\n`);
    });
}

async function natsVersion(): Promise<string> {
  try {
    return await serverVersion(natsServer());
  } catch {
    return 'missing';
  }
}
