import { invalidArgument } from '@atoll/errors';
import type { ArgInstruction, Dockerfile, FromInstruction, Instruction } from './instructions.ts';
import { lexDockerfile } from './lexer.ts';
import { parseFailure } from './parse-failure.ts';
import { parseInstruction } from './parse-instruction.ts';

/** Reads a whole Dockerfile. Throws invalid-argument with Docker's text; `details.line` has the line. */
export function parseDockerfile(bytes: Uint8Array): Dockerfile {
  const { lines, escapeChar, syntax, warnings } = lexDockerfile(bytes);
  if (lines.length === 0) throw invalidArgument('the Dockerfile cannot be empty: file with no instructions');
  const metaArgs: ArgInstruction[] = [];
  const stages: { from: FromInstruction; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const parsed = parseInstruction(line, escapeChar);
    const current = stages.at(-1);
    if (parsed.kind === 'FROM') {
      stages.push({ from: parsed, instructions: [] });
    } else if (current) {
      current.instructions.push(parsed);
    } else if (parsed.kind === 'ARG') {
      metaArgs.push(parsed);
    } else {
      throw parseFailure(line.line, 'no build stage in current context');
    }
  }
  if (stages.length === 0) throw invalidArgument('No image was generated. Is your Dockerfile empty?');
  return { escapeChar, syntax, metaArgs, stages, warnings };
}

/** The trigger an image's ONBUILD holds, as an instruction of the stage that is based on it. */
export function parseTrigger(text: string): Instruction {
  const { lines, escapeChar } = lexDockerfile(Buffer.from(text));
  const [line] = lines;
  if (lines.length !== 1 || !line) throw invalidArgument('onbuild trigger should be a single expression');
  const parsed = parseInstruction({ ...line, line: 0 }, escapeChar);
  if (parsed.kind === 'FROM' || parsed.kind === 'MAINTAINER' || parsed.kind === 'ONBUILD') {
    throw invalidArgument(`${parsed.kind} isn't allowed as an ONBUILD trigger`);
  }
  return parsed;
}
