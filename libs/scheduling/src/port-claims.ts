import type { HostPort } from './node-info.ts';

const WILDCARDS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

/** Host ports in use. Two claims collide on one port and protocol when their addresses are equal or one stands for all. */
export class PortClaims {
  readonly #claims = new Map<string, HostPort[]>();

  add(port: HostPort): void {
    const key = keyOf(port);
    const held = this.#claims.get(key);
    if (held) held.push(port);
    else this.#claims.set(key, [port]);
  }

  remove(port: HostPort): void {
    const key = keyOf(port);
    const held = this.#claims.get(key);
    const index = held?.findIndex((other) => other.ip === port.ip) ?? -1;
    if (!held || index < 0) return;
    held.splice(index, 1);
    if (held.length === 0) this.#claims.delete(key);
  }

  collides(port: HostPort): boolean {
    const held = this.#claims.get(keyOf(port));
    if (!held) return false;
    return WILDCARDS.has(port.ip) || held.some((other) => WILDCARDS.has(other.ip) || other.ip === port.ip);
  }
}

function keyOf(port: HostPort): string {
  return `${port.port}/${port.protocol}`;
}
