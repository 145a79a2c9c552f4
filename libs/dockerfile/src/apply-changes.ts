import { invalidArgument } from '@atoll/errors';
import { applyMetadata, type MetadataInstruction } from './apply-metadata.ts';
import { absolutePath } from './clean-path.ts';
import { expandWord } from './expand.ts';
import { lexDockerfile } from './lexer.ts';
import { parseInstruction } from './parse-instruction.ts';
import { envOf, type RunConfig } from './run-config.ts';

/** What `--change` of commit and import may say: the instructions that only touch the config, as Docker has them. */
const CHANGES: readonly string[] = [
  'CMD',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'HEALTHCHECK',
  'LABEL',
  'ONBUILD',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
];

/**
 * The run config that Dockerfile lines make of another. Variables are those of the config, as in a build.
 * Errors: invalid-argument naming the line.
 */
export function applyChanges(base: RunConfig, changes: readonly string[]): RunConfig {
  if (changes.every((change) => change.trim() === '')) return base;
  const { lines, escapeChar } = lexDockerfile(Buffer.from(changes.join('\n')));
  let config = base;
  let cmdSet = false;
  for (const line of lines) {
    const name = /^\s*(\S*)/.exec(line.text)?.[1] ?? '';
    if (!CHANGES.includes(name.toUpperCase())) {
      throw invalidArgument(`${name} is not a valid change command; valid are ${CHANGES.join(', ')}`);
    }
    const instruction = parseInstruction(line, escapeChar);
    const variables = envOf(config);
    const expand = (word: string): string => expandWord(word, variables, escapeChar);
    if (instruction.kind === 'WORKDIR') {
      config = { ...config, WorkingDir: absolutePath(config.WorkingDir ?? '', expand(instruction.path)) };
      continue;
    }
    const change = { config, cmdSet, escapeChar, expand, variables };
    config = applyMetadata(instruction as MetadataInstruction, change).config;
    if (instruction.kind === 'CMD') cmdSet = true;
  }
  return config;
}
