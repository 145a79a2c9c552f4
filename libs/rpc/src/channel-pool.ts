import { Channel } from './channel.ts';
import type { Role, TlsIdentity } from './tls-identity.ts';

/** One channel for each server address and role, kept warm until the pool closes. */
export class ChannelPool {
  readonly #tls: TlsIdentity;
  readonly #channels = new Map<string, Channel>();

  constructor(tls: TlsIdentity) {
    this.#tls = tls;
  }

  get(address: string, serverRole: Role, serverId?: string): Channel {
    return this.#channel(address, serverRole, serverId, false);
  }

  /** One for answers of many megabytes: nothing else waits behind them. */
  bulk(address: string, serverRole: Role, serverId: string): Channel {
    return this.#channel(address, serverRole, serverId, true);
  }

  #channel(address: string, serverRole: Role, serverId: string | undefined, bulk: boolean): Channel {
    const key = `${bulk ? 'bulk ' : ''}${serverRole} ${serverId ?? ''} ${address}`;
    let channel = this.#channels.get(key);
    if (!channel) {
      const server = { address, serverRole, ...(serverId === undefined ? {} : { serverId }) };
      channel = new Channel({ ...server, tls: this.#tls, bulk });
      this.#channels.set(key, channel);
    }
    return channel;
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }
}
