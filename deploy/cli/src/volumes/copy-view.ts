import { humanBytes } from './human-bytes.ts';
import type { CopyProgress } from './volume-api.ts';

/** Says on stderr how far a copy is: one line that changes on a terminal, else a line for each phase. */
export class CopyView {
  readonly #output: NodeJS.WriteStream;
  #phase = '';
  #open = false;

  constructor(output: NodeJS.WriteStream = process.stderr) {
    this.#output = output;
  }

  show({ status = '', progressDetail }: CopyProgress): void {
    const bytes = progressDetail?.current;
    const text = bytes === undefined ? status : `${status} ${humanBytes(bytes)}`;
    if (this.#output.isTTY) {
      this.#output.write(`\r\x1b[K${text}`);
      this.#open = true;
    } else if (status !== this.#phase) {
      this.#output.write(`${status}\n`);
    }
    this.#phase = status;
  }

  close(): void {
    if (this.#open) this.#output.write('\r\x1b[K');
    this.#open = false;
  }
}
