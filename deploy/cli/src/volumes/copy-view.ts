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

  show({ status = '', id, progressDetail }: CopyProgress): void {
    const phase = id === undefined ? status : `${id}: ${status}`;
    const bytes = progressDetail?.current;
    const text = bytes === undefined ? phase : `${phase} ${humanBytes(bytes)}`;
    if (this.#output.isTTY) {
      this.#output.write(`\r\x1b[K${text}`);
      this.#open = true;
    } else if (phase !== this.#phase) {
      this.#output.write(`${phase}\n`);
    }
    this.#phase = phase;
  }

  close(): void {
    if (this.#open) this.#output.write('\r\x1b[K');
    this.#open = false;
  }
}
