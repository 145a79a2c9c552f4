import { randomBytes } from 'node:crypto';
import type { BuildOutput } from './build-output.ts';

const RED = '\u001b[91m';
const RESET = '\u001b[0m';

/** The lines of Docker's classic builder for one stage. */
export class StepPrinter {
  readonly #output: BuildOutput;
  readonly #total: number;
  readonly #removeNotes: boolean;
  #step: number;

  /** @param first number of the stage's first step, from 1 */
  constructor(output: BuildOutput, first: number, total: number, removeNotes: boolean) {
    this.#output = output;
    this.#step = first;
    this.#total = total;
    this.#removeNotes = removeNotes;
  }

  get output(): BuildOutput {
    return this.#output;
  }

  async step(source: string): Promise<void> {
    await this.#output.text(`Step ${this.#step}/${this.#total} : ${source}\n`);
    this.#step++;
  }

  /** The id an intermediate container would have; shown, and the host name inside a RUN. */
  async running(): Promise<string> {
    const id = randomBytes(6).toString('hex');
    await this.#output.text(` ---> Running in ${id}\n`);
    return id;
  }

  async removed(id: string): Promise<void> {
    if (this.#removeNotes) await this.#output.text(` ---> Removed intermediate container ${id}\n`);
  }

  async cached(): Promise<void> {
    await this.#output.text(' ---> Using cache\n');
  }

  /** @param id digest or key; empty for scratch */
  async state(id: string): Promise<void> {
    await this.#output.text(` ---> ${id.replace(/^sha256:/, '').slice(0, 12)}\n`);
  }

  async errorText(text: string): Promise<void> {
    await this.#output.text(`${RED}${text}${RESET}`);
  }
}
