import type { WriteStream } from 'node:tty';

/** Colours and cursor movement are for people at a terminal only (NO_COLOR, TERM=dumb and pipes get plain text). */
export interface TerminalStyle {
  readonly animated: boolean;
  readonly width: number;
  green(text: string): string;
  red(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

export function terminalStyle(
  stream: { readonly isTTY?: boolean; readonly columns?: number } = process.stderr as WriteStream,
  env: NodeJS.ProcessEnv = process.env,
): TerminalStyle {
  const animated = stream.isTTY === true && env['TERM'] !== 'dumb' && !env['CI'];
  const colour = animated && !env['NO_COLOR'];
  const paint = (code: number) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    animated,
    width: stream.columns ?? 100,
    green: paint(32),
    red: paint(31),
    dim: paint(2),
    bold: paint(1),
  };
}
