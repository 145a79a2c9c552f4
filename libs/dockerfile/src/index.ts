export { applyChanges } from './apply-changes.ts';
export { applyMetadata, type MetadataInstruction } from './apply-metadata.ts';
export { absolutePath, cleanPath } from './clean-path.ts';
export { expandWord, type Variables } from './expand.ts';
export { goQuoteList } from './go-quote.ts';
export type {
  ArgInstruction,
  CopyInstruction,
  Dockerfile,
  Instruction,
  RunInstruction,
  Stage,
  WorkdirInstruction,
} from './instructions.ts';
export { DOCKERFILE_LIMITS } from './limits.ts';
export { parseFailure } from './parse-failure.ts';
export { parseDockerfile, parseTrigger } from './parser.ts';
export { envOf, type HealthConfig, type RunConfig, shellOf, withEnv } from './run-config.ts';
