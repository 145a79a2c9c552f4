import { AsyncQueue } from '@atoll/rpc';

/** Output of a pretended process. */
export interface FakeOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/**
 * What a container's command does, without a kernel: a few words of a shell, enough to see bytes go through the gateway.
 * `true`, `false`, `echo …`, `err …` (to stderr), `exit N`, `cat` (stdin to stdout until EOF), `count` (how many bytes came),
 * `flood N` (N bytes), `sleep`.
 */
export class FakeProcess {
  readonly output = new AsyncQueue<FakeOutput>(4);
  readonly exited: Promise<number>;
  readonly log: FakeOutput[] = [];
  readonly #input = new AsyncQueue<Buffer>(1024);
  #finish: (code: number) => void = () => undefined;

  constructor(argv: readonly string[]) {
    this.exited = new Promise((resolve) => {
      this.#finish = (code) => {
        this.output.end();
        resolve(code);
      };
    });
    this.#run(argv).then(this.#finish, () => this.#finish(1));
  }

  async write(data: Buffer): Promise<void> {
    await this.#input.pushWait(data);
  }

  closeInput(): void {
    this.#input.end();
  }

  kill(code: number): void {
    this.#finish(code);
  }

  async #run([command, ...rest]: readonly string[]): Promise<number> {
    switch (command) {
      case 'true':
        return 0;
      case 'false':
        return 1;
      case 'exit':
        return Number(rest[0]);
      case 'echo':
        await this.#emit('stdout', Buffer.from(`${rest.join(' ')}\n`));
        return 0;
      case 'err':
        await this.#emit('stderr', Buffer.from(`${rest.join(' ')}\n`));
        return 0;
      case 'cat':
        for await (const chunk of this.#input) await this.#emit('stdout', chunk);
        return 0;
      case 'count': {
        let count = 0;
        for await (const chunk of this.#input) count += chunk.length;
        await this.#emit('stdout', Buffer.from(`${count}\n`));
        return 0;
      }
      case 'flood':
        for (let left = Number(rest[0]); left > 0; left -= 65_536) {
          await this.#emit('stdout', Buffer.alloc(Math.min(left, 65_536), 'x'));
        }
        return 0;
      default:
        return await new Promise<number>(() => undefined);
    }
  }

  async #emit(stream: FakeOutput['stream'], data: Buffer): Promise<void> {
    if (this.log.length < 1_000) this.log.push({ stream, data });
    await this.output.pushWait({ stream, data });
  }
}
