import type { Step } from './step.ts';
import { type TerminalStyle, terminalStyle } from './terminal-style.ts';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** A plain log says what is waited for when it takes longer than this, then after twice, four times … as long. */
const PATIENCE_MS = 3000;

/** Shows steps on stderr: a tree with spinners on a terminal, else a line for each step that ends or drags on. */
export class ProgressView {
  readonly #output: NodeJS.WritableStream;
  readonly #style: TerminalStyle;
  readonly #told = new Map<string, string>();
  #steps: readonly Step[] = [];
  #drawn = 0;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: NodeJS.WritableStream = process.stderr, style: TerminalStyle = terminalStyle()) {
    this.#output = output;
    this.#style = style;
  }

  show(steps: readonly Step[]): void {
    this.#steps = steps;
    if (!this.#style.animated) {
      this.#tell();
      return;
    }
    this.#timer ??= setInterval(() => {
      this.#frame += 1;
      this.#draw();
    }, 80);
    this.#draw();
  }

  /** Leaves the last picture standing. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#style.animated) this.#draw();
    this.#steps = [];
    this.#drawn = 0;
  }

  #draw(): void {
    const lines = this.#steps.map((step) => this.#line(step));
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}A` : '';
    this.#output.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join('')}`);
    this.#drawn = lines.length;
  }

  #tell(): void {
    for (const step of this.#steps) {
      const elapsed = (Date.now() - (step.startedAt ?? Date.now())) / PATIENCE_MS;
      const waited = step.state === 'running' && elapsed >= 1 ? Math.floor(Math.log2(elapsed)) + 1 : 0;
      const news = step.state === 'running' ? waited > 0 && `${step.detail} ${waited}` : step.state;
      if (!news || news === 'waiting' || this.#told.get(step.id) === news) continue;
      if (step.state === 'running' && this.#told.get(step.id)?.endsWith(` ${waited}`)) continue;
      this.#told.set(step.id, news);
      this.#output.write(`${this.#line(step)}\n`);
    }
  }

  #line(step: Step): string {
    const { green, red, dim } = this.#style;
    const sign = {
      waiting: dim('·'),
      running: this.#style.animated ? (FRAMES[this.#frame % FRAMES.length] ?? '·') : '…',
      done: green('✔'),
      failed: red('✘'),
    }[step.state];
    const time = step.startedAt ? `(${(((step.endedAt ?? Date.now()) - step.startedAt) / 1000).toFixed(1)} s)` : '';
    const label = `${'  '.repeat(step.depth)}${sign} ${step.label}`;
    const plain = 2 * step.depth + 2 + step.label.length;
    const room = Math.max(0, this.#style.width - Math.max(plain, 28) - time.length - 4);
    const detail =
      this.#style.animated && step.detail.length > room ? `${step.detail.slice(0, room - 1)}…` : step.detail;
    const parts = [`${label}${' '.repeat(Math.max(1, 28 - plain))}`, dim(detail), dim(time)];
    return parts.filter(Boolean).join(' ').trimEnd();
  }
}
