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
    const key = `${serverRole} ${serverId ?? ''} ${address}`;
    let channel = this.#channels.get(key);
    if (!channel) {
      channel = new Channel({ address, tls: this.#tls, serverRole, ...(serverId === undefined ? {} : { serverId }) });
      this.#channels.set(key, channel);
    }
    return channel;
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }
}
