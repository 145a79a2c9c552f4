import { encodeServices, type ServiceList } from './service-list.ts';

/** What tells which services a container finds, and hears that its shim could not take them. */
export interface ServiceSource {
  /** Undefined: not known at present. */
  of(containerId: string): ServiceList | undefined;
  /** `errno` of the shim; undefined: it has not answered, being one from before there were services. */
  refused(containerId: string, errno: number | undefined): void;
}

/** Longer than a shim ever needs on a machine that is busy. */
const ANSWER_MS = 1_000;
const NOTHING = Buffer.alloc(2);

/**
 * Keeps one shim's rules for services in step with what the agent knows: whole lists, one at a time, each answered. A name may be resolved
 * to a service's address only once the shim translates it.
 */
export class ServiceChannel {
  readonly #id: string;
  readonly #source: ServiceSource;
  readonly #send: (list: Buffer) => void;
  /** Addresses the shim translates. */
  #translated: ReadonlySet<string> = new Set();
  #sent: Buffer | undefined;
  #underWay: readonly string[] | undefined;
  #stale = true;
  #mute = false;
  #waiters: (() => void)[] = [];

  constructor(id: string, source: ServiceSource, send: (list: Buffer) => void) {
    this.#id = id;
    this.#source = source;
    this.#send = send;
  }

  translates(address: string): boolean {
    return this.#translated.has(address);
  }

  /** Something may have changed. */
  refresh(): void {
    this.#stale = true;
    this.#advance();
  }

  /** The shim's word on the list that is under way: 0 or an errno. */
  answered(errno: number): void {
    const addresses = this.#underWay;
    if (!addresses) throw new RangeError('an answer to a list of services that was not sent');
    this.#underWay = undefined;
    this.#mute = false;
    this.#translated = new Set(errno === 0 ? addresses : []);
    if (errno !== 0) this.#source.refused(this.#id, errno);
    this.#advance();
    if (!this.#underWay) this.#release();
  }

  /** Resolves when the shim has what is known now; at last after a second, when nothing counts as translated. */
  async settled(): Promise<void> {
    if (this.#stale) this.#advance();
    if (!this.#underWay || this.#mute) return;
    const list = this.#underWay;
    const timer = setTimeout(() => this.#giveUp(list), ANSWER_MS);
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
    clearTimeout(timer);
  }

  close(): void {
    this.#release();
  }

  #advance(): void {
    if (!this.#stale || this.#underWay) return;
    const list = this.#source.of(this.#id);
    if (!list) return;
    this.#stale = false;
    const bytes = encodeServices(list);
    if (this.#sent?.equals(bytes)) return;
    const isFirst = this.#sent === undefined;
    this.#sent = bytes;
    this.#underWay = list.addresses.map(({ address }) => address);
    // A shim may have some from an earlier agent; whether it takes none away before a name is resolved does not matter.
    this.#mute ||= isFirst && bytes.equals(NOTHING);
    this.#send(bytes);
  }

  #giveUp(list: readonly string[]): void {
    // Else it does answer, and lists follow each other.
    if (this.#underWay === list) {
      this.#mute = true;
      this.#translated = new Set();
      this.#source.refused(this.#id, undefined);
    }
    this.#release();
  }

  #release(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
