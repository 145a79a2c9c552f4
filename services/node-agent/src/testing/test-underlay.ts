import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/** A switch in a network namespace of its own that test hosts are plugged into. */
export class TestUnderlay {
  readonly #name = `atoll-under-${randomBytes(4).toString('hex')}`;
  #hosts = 0;

  constructor() {
    ip('netns', 'add', this.#name);
    ip('-n', this.#name, 'link', 'add', 'switch', 'type', 'bridge');
    ip('-n', this.#name, 'link', 'set', 'switch', 'up');
  }

  /** Plugs a host in; gives its address there. */
  attach(namespace: string, mtu = 1500): string {
    const number = ++this.#hosts;
    const port = `port${number}`;
    ip(
      '-n',
      this.#name,
      'link',
      'add',
      port,
      'mtu',
      String(mtu),
      'type',
      'veth',
      'peer',
      'name',
      'under',
      'netns',
      namespace,
    );
    ip('-n', this.#name, 'link', 'set', port, 'master', 'switch', 'up');
    ip('-n', namespace, 'addr', 'add', `10.233.0.${number}/24`, 'dev', 'under');
    ip('-n', namespace, 'link', 'set', 'under', 'mtu', String(mtu), 'up');
    return `10.233.0.${number}`;
  }

  /** Cuts the cable of the host with this address, or mends it. */
  setLink(address: string, up: boolean): void {
    ip('-n', this.#name, 'link', 'set', `port${address.split('.')[3]}`, up ? 'up' : 'down');
  }

  /** Gives the machine that is the switch an address there: a neighbour that no agent is on. */
  neighbour(cidr: string): void {
    ip('-n', this.#name, 'addr', 'add', cidr, 'dev', 'switch', ...(cidr.includes(':') ? ['nodad'] : []));
  }

  /** Runs a program as that neighbour. */
  run(...command: string[]): string {
    return ip('netns', 'exec', this.#name, ...command);
  }

  dispose(): void {
    ip('netns', 'del', this.#name);
  }
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}
