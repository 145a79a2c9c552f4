import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gatewayAddress, releaseBlock } from './free-block.ts';
import type { ClusterNames } from './host-names.ts';
import { formatBlock, type Ipv4Block } from './ipv4-block.ts';
import { runCommand } from './run-command.ts';

const FORWARD = '/proc/sys/net/ipv4/ip_forward';

export interface UnderlayOptions {
  readonly names: ClusterNames;
  readonly block: Ipv4Block;
  /** Folder of the block claims, shared by all clusters of the machine. */
  readonly claims: string;
}

/** The wire between the hosts of one machine: a bridge with the machine's own address, and the way out through NAT. */
export class Underlay {
  readonly names: ClusterNames;
  readonly block: Ipv4Block;
  readonly #claims: string;

  constructor(options: UnderlayOptions) {
    this.names = options.names;
    this.block = options.block;
    this.#claims = options.claims;
  }

  /** The machine's address on the wire. */
  get address(): string {
    return gatewayAddress(this.block);
  }

  /** Safe to repeat. */
  async create(): Promise<void> {
    const { bridge } = this.names;
    if (!(await linkExists(bridge))) {
      await runCommand('ip', ['link', 'add', bridge, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0']);
    }
    await runCommand('ip', ['addr', 'replace', `${this.address}/${this.block.prefix}`, 'dev', bridge]);
    await runCommand('ip', ['link', 'set', bridge, 'up']);
    await this.#forward();
    await runCommand('nft', ['-f', '-'], { input: this.#rules() });
  }

  /** Takes everything away again, forwarding too if this was the last cluster and it was off before. Safe to repeat. */
  async remove(): Promise<void> {
    const { bridge, nftTable } = this.names;
    await runCommand('nft', ['-f', '-'], { input: `table ip ${nftTable}\ndelete table ip ${nftTable}\n` });
    if (await linkExists(bridge)) await runCommand('ip', ['link', 'delete', bridge]);
    await releaseBlock(this.#claims, this.block);
    const others = (await readdir(this.#claims).catch(() => [])).length;
    const before = await readFile(this.#forwardFile(), 'utf8').catch(() => undefined);
    if (others > 0 || before === undefined) return;
    await writeFile(FORWARD, before);
    await rm(this.#forwardFile(), { force: true });
  }

  /** One transaction that replaces our own table only. */
  #rules(): string {
    const { bridge, nftTable } = this.names;
    return `
table ip ${nftTable}
delete table ip ${nftTable}
table ip ${nftTable} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${formatBlock(this.block)} oifname != "${bridge}" masquerade
  }
}
`;
  }

  async #forward(): Promise<void> {
    const before = (await readFile(FORWARD, 'utf8')).trim();
    if (before === '1') return;
    await writeFile(this.#forwardFile(), before, { flag: 'wx' }).catch(() => undefined);
    await writeFile(FORWARD, '1');
  }

  #forwardFile(): string {
    return join(dirname(this.#claims), 'ip-forward-before');
  }
}

export async function linkExists(name: string): Promise<boolean> {
  return (await readdir('/sys/class/net')).includes(name);
}
