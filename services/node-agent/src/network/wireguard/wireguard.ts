import { writeFile } from 'node:fs/promises';
import { failedPrecondition } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import type { networkV1 } from '@atoll/proto';
import { exists } from '../../files/exists.ts';
import { runTool } from '../../processes/run-tool.ts';
import { SerialQueue } from '../../processes/serial-queue.ts';
import type { KernelLink } from '../user/overlay-device.ts';
import { detectEncryption, type EncryptionSupport } from './encryption-support.ts';
import { shakeHands } from './handshake.ts';
import { ensureHostKey, type HostKey } from './host-key.ts';
import { innerAddress } from './inner-address.ts';
import { UserspaceDevice } from './userspace-device.ts';
import { endpointOf, knownPeers, linkCommands, peerArguments, type WireGuardPeer } from './wireguard-device.ts';

export interface WireGuardOptions {
  /** Name of the device. */
  readonly device: string;
  /** Keeps the key, and what is known of the process. */
  readonly folder: string;
  /** UDP. */
  readonly port: number;
  readonly logger: Logger;
}

export interface WireGuardWish {
  /** The hosts this one shares encrypted networks with. */
  readonly peers: readonly WireGuardPeer[];
  readonly mtu: number;
}

/** How often the device, or its process in user space, is looked after: what is encrypted stands still without it. */
const WATCH_MS = 1_000;

/**
 * The WireGuard device that carries all encrypted networks of this host. It is there while there is one, and stays when the agent ends. Devices on
 * top of it go with it: who calls `assert` looks after them when it says that the device is new.
 */
export class WireGuard {
  readonly #options: WireGuardOptions;
  readonly #support: EncryptionSupport;
  readonly #key: HostKey | undefined;
  readonly #process: UserspaceDevice;
  readonly #queue = new SerialQueue();
  /** What peers were last told to be reached at: they may have moved since, and then the kernel knows better. */
  #endpoints: ReadonlyMap<string, string> = new Map();
  #written = '';
  /** Made, and not told yet. */
  #isNew = false;
  #onLost: (() => Promise<void>) | undefined;
  #watch: NodeJS.Timeout | undefined;

  private constructor(options: WireGuardOptions, support: EncryptionSupport, key: HostKey | undefined) {
    this.#options = options;
    this.#support = support;
    this.#key = key;
    this.#process = new UserspaceDevice(options.device, options.folder);
  }

  /** Looks at what the host can, and makes its key if it can encrypt. */
  static async open(options: WireGuardOptions): Promise<WireGuard> {
    const support = await detectEncryption();
    if (support.by === 'nothing') return new WireGuard(options, support, undefined);
    try {
      return new WireGuard(options, support, await ensureHostKey(options.folder));
    } catch (error) {
      const reason = `it has no key of its own: ${error instanceof Error ? error.message : String(error)}`;
      return new WireGuard(options, { by: 'nothing', reason }, undefined);
    }
  }

  get device(): string {
    return this.#options.device;
  }

  /** Why this host cannot encrypt; undefined when it can. */
  get unable(): string | undefined {
    return this.#support.by === 'nothing' ? this.#support.reason : undefined;
  }

  /** What other hosts need to know; undefined when this one cannot encrypt. */
  get endpoint(): networkV1.WireGuardEndpoint | undefined {
    return this.#key && { publicKey: this.#key.publicKey, port: this.#options.port };
  }

  /** This host's address inside. Errors: failed-precondition when it cannot encrypt. */
  get address(): string {
    return innerAddress(this.#ownKey().publicKey);
  }

  /**
   * Makes the device, or brings the one there is into form. True: it is new, and nothing is on top of it.
   * @param always also when nothing has changed since the last time: somebody else may have changed it
   * Errors: failed-precondition when this host cannot encrypt, or when wireguard-go cannot be started.
   */
  assert(wish: WireGuardWish, always: boolean): Promise<boolean> {
    return this.#queue.run(async () => {
      const key = this.#ownKey();
      const text = JSON.stringify(wish);
      if (!always && text === this.#written) return false;
      this.#written = '';
      await this.#ensureLink();
      await this.#configure(key, wish);
      this.#written = text;
      this.#startWatch();
      const isNew = this.#isNew;
      this.#isNew = false;
      return isNew;
    });
  }

  /** Safe to repeat, and when there is none. */
  takeDown(): Promise<void> {
    return this.#queue.run(async () => {
      this.#written = '';
      this.#endpoints = new Map();
      this.#stopWatch();
      await this.#process.stop();
      if (await this.#hasDevice()) await runTool('ip', ['link', 'del', 'dev', this.device]);
    });
  }

  /** Calls back when the device has gone though it should not, as with the end of its process in user space; until `stop`. */
  watch(onLost: () => Promise<void>): void {
    this.#onLost = onLost;
  }

  /** The device stays. */
  stop(): void {
    this.#onLost = undefined;
    this.#stopWatch();
  }

  #startWatch(): void {
    if (!this.#onLost) return;
    this.#watch ??= setInterval(() => void this.#look(), WATCH_MS).unref();
  }

  #stopWatch(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  async #look(): Promise<void> {
    const { logger } = this.#options;
    const isLost = await this.#queue.run(async () => {
      if (this.#written === '' || (await this.#isThere())) return false;
      this.#written = '';
      return true;
    });
    if (!isLost) return;
    logger.warn(`${this.device} is gone; it is made again`);
    await this.#onLost?.().catch((err: unknown) => logger.error({ err }, 'encrypted networks are not in order'));
  }

  async #isThere(): Promise<boolean> {
    return (await this.#hasDevice()) && (this.#support.by === 'kernel' || (await this.#process.isRunning()));
  }

  async #ensureLink(): Promise<void> {
    const { device } = this.#options;
    if (await this.#isThere()) return;
    if (this.#support.by === 'kernel') {
      await runTool('ip', ['link', 'add', 'name', device, 'type', 'wireguard']);
      this.#made();
      return;
    }
    await this.#process.stop();
    // Of a process nobody knows any more: it ends without its device.
    if (await this.#hasDevice()) await runTool('ip', ['link', 'del', 'dev', device]);
    await this.#process.start();
    this.#made();
  }

  #made(): void {
    this.#isNew = true;
    this.#endpoints = new Map();
  }

  async #configure({ publicKey, privateKeyFile }: HostKey, wish: WireGuardWish): Promise<void> {
    const { device, port } = this.#options;
    const [key, listening, allowed] = await Promise.all(
      ['public-key', 'listen-port', 'allowed-ips'].map((what) => this.#wg('show', device, what)),
    );
    const isOurs = key?.trim() === publicKey && listening?.trim() === String(port);
    const settings = isOurs ? [] : ['private-key', privateKeyFile, 'listen-port', String(port)];
    const peers = wish.peers.filter((peer) => peer.publicKey !== publicKey);
    const known = knownPeers(allowed ?? '');
    const changes = peerArguments(peers, known, this.#endpoints);
    await this.#ipv6();
    const address = innerAddress(publicKey);
    const commands = linkCommands({ name: device, address, mtu: wish.mtu }, await hostLinks());
    await runTool('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
    if (settings.length + changes.length > 0) await this.#wg('set', device, ...settings, ...changes);
    const keys = peers.map((peer) => peer.publicKey);
    await shakeHands(
      device,
      keys.filter((one) => !known.has(one)),
    );
    this.#endpoints = new Map(peers.map((peer) => [peer.publicKey, endpointOf(peer)]));
  }

  /** Also where the host has IPv6 off for its other interfaces; nobody may tell this one routes. */
  async #ipv6(): Promise<void> {
    const folder = settingsOf(this.device);
    await writeFile(`${folder}/accept_ra`, '0');
    await writeFile(`${folder}/disable_ipv6`, '0');
  }

  #wg(...args: readonly string[]): Promise<string> {
    return this.#support.by === 'userspace' ? this.#process.configure(args) : runTool('wg', args);
  }

  #hasDevice(): Promise<boolean> {
    return exists(settingsOf(this.device));
  }

  #ownKey(): HostKey {
    if (this.#key) return this.#key;
    throw failedPrecondition(`this host cannot encrypt: ${this.unable}`);
  }
}

/** There is one for each device of the network namespace; `detectEncryption` wants IPv6. */
function settingsOf(device: string): string {
  return `/proc/sys/net/ipv6/conf/${device}`;
}

async function hostLinks(): Promise<readonly KernelLink[]> {
  return JSON.parse((await runTool('ip', ['-json', 'addr', 'show'])) || '[]') as KernelLink[];
}
