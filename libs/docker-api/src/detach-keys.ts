import { invalidArgument } from '@atoll/errors';

/** ctrl-p, ctrl-q. */
export const DEFAULT_DETACH_KEYS: readonly number[] = [16, 17];

/**
 * A detach sequence such as `ctrl-p,ctrl-q` or `ctrl-a,d` as the bytes a terminal sends.
 * @throws invalid-argument
 */
export function parseDetachKeys(text: string): readonly number[] {
  if (text === '') return DEFAULT_DETACH_KEYS;
  return text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    if (control === undefined) throw invalidArgument(`invalid detach keys (${text}) provided: unknown key "${key}"`);
    const code = control.toLowerCase().charCodeAt(0);
    if (code >= 0x61 && code <= 0x7a) return code - 0x60;
    const punctuation = '@[\\]^_'.indexOf(control);
    if (punctuation < 0) throw invalidArgument(`invalid detach keys (${text}) provided: unknown key "${key}"`);
    return [0, 27, 28, 29, 30, 31][punctuation] ?? 0;
  });
}

/** Watches terminal input for the detach sequence. Bytes of a sequence that is not completed are passed on. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What of `chunk` goes to the container, and whether the sequence was completed (the rest is dropped then). */
  scan(chunk: Buffer): { readonly data: Buffer; readonly detached: boolean } {
    const [first] = this.#keys;
    // Nearly always: nothing of the sequence is in sight.
    if (this.#matched === 0 && (first === undefined || !chunk.includes(first))) return { data: chunk, detached: false };
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        if (++this.#matched === this.#keys.length) return { data: Buffer.from(out), detached: true };
        continue;
      }
      out.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
      else if (this.#keys.length === 1) return { data: Buffer.from(out), detached: true };
    }
    return { data: Buffer.from(out), detached: false };
  }
}
