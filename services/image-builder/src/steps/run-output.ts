import { StringDecoder } from 'node:string_decoder';
import type { buildV1 } from '@atoll/proto';
import type { StepPrinter } from '../progress/step-printer.ts';

/** Turns the bytes a RUN prints into text of the build stream, standard error in Docker's red. */
export class RunOutput {
  readonly #printer: StepPrinter;
  readonly #stdout = new StringDecoder('utf8');
  readonly #stderr = new StringDecoder('utf8');

  constructor(printer: StepPrinter) {
    this.#printer = printer;
  }

  async write(output: buildV1.StepOutput): Promise<void> {
    const text = (output.stderr ? this.#stderr : this.#stdout).write(output.data);
    await this.#print(text, output.stderr);
  }

  /** Characters that were cut off at the end. */
  async end(): Promise<void> {
    await this.#print(this.#stdout.end(), false);
    await this.#print(this.#stderr.end(), true);
  }

  async #print(text: string, stderr: boolean): Promise<void> {
    if (text === '') return;
    if (stderr) await this.#printer.errorText(text);
    else await this.#printer.output.text(text);
  }
}
