import type { BuildOutput } from './build-output.ts';

/** `--quiet`: keeps the newest text back, for the case that the build fails. */
export class QuietOutput implements BuildOutput {
  readonly #limit: number;
  #parts: string[] = [];
  #characters = 0;

  /** @param limit characters kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  async text(text: string): Promise<void> {
    this.#parts.push(text);
    this.#characters += text.length;
    while (this.#characters - (this.#parts[0]?.length ?? 0) > this.#limit) {
      this.#characters -= this.#parts.shift()?.length ?? 0;
    }
  }

  async progress(): Promise<void> {}

  get kept(): string {
    return this.#parts.join('');
  }
}
