import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceExhausted } from '@atoll/errors';
import { addressIn, formatBlock, type Ipv4Block, overlaps, parseBlock } from './ipv4-block.ts';
import { runCommand } from './run-command.ts';

/** Underlays are /24 blocks of this one: 254 of them on a machine. */
const SPACE = '10.214';
/** A claim whose owner has made no bridge within this time is left over from a killed start. */
const CLAIM_LIMIT_MS = 120_000;

/**
 * Finds a /24 that neither a route nor an address of this machine touches, and claims it in `claims` so that a second
 * cluster starting at this moment takes another. `preferred` (the one used last time) is tried first.
 */
export async function claimFreeBlock(options: {
  readonly claims: string;
  readonly owner: string;
  readonly preferred?: string;
}): Promise<Ipv4Block> {
  const used = await usedBlocks();
  const start = [...options.owner].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 254, 7);
  const candidates = Array.from({ length: 254 }, (_, n) => `${SPACE}.${((start + n) % 254) + 1}.0/24`);
  for (const text of [...(options.preferred ? [options.preferred] : []), ...candidates]) {
    const block = parseBlock(text);
    if (used.some((other) => overlaps(block, other))) continue;
    if (await claim(options.claims, block, options.owner)) return block;
  }
  throw resourceExhausted(`no free /24 below ${SPACE}.0.0/16: remove clusters of this machine (./atoll down --name …)`);
}

export async function releaseBlock(claims: string, block: Ipv4Block): Promise<void> {
  await rm(claimFile(claims, block), { force: true });
}

async function claim(claims: string, block: Ipv4Block, owner: string): Promise<boolean> {
  const file = claimFile(claims, block);
  const age = await stat(file).then((found) => Date.now() - found.mtimeMs, () => undefined); // biome-ignore format: short
  const holder = age === undefined ? undefined : await readFile(file, 'utf8').catch(() => undefined);
  // The caller has seen that no bridge carries the block: an old claim, or one of our own, is stale.
  if (holder === owner || (age !== undefined && age > CLAIM_LIMIT_MS)) await rm(file, { force: true });
  try {
    await mkdir(claims, { recursive: true });
    await writeFile(file, owner, { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

function claimFile(claims: string, block: Ipv4Block): string {
  return join(claims, formatBlock(block).replace('/', '_'));
}

/** What routes and addresses of the machine cover, the default route left out. */
async function usedBlocks(): Promise<readonly Ipv4Block[]> {
  const [routes, addresses] = await Promise.all([
    runCommand('ip', ['-4', '-j', 'route', 'show', 'table', 'all']),
    runCommand('ip', ['-4', '-j', 'addr', 'show']),
  ]);
  const targets = (JSON.parse(routes || '[]') as { dst?: string }[]).map((route) => route.dst ?? 'default');
  const links = JSON.parse(addresses || '[]') as { addr_info?: { local?: string; prefixlen?: number }[] }[];
  const own = links.flatMap((link) => (link.addr_info ?? []).map((info) => `${info.local}/${info.prefixlen}`));
  return [...targets, ...own].filter((text) => /^\d/.test(text) && !text.startsWith('0.0.0.0')).map(parseBlock);
}

/** Address of the machine itself on its underlay. */
export function gatewayAddress(block: Ipv4Block): string {
  return addressIn(block, 1);
}

/** Address of the nth host, from 1. */
export function hostAddress(block: Ipv4Block, index: number): string {
  return addressIn(block, 10 + index);
}
