import type { Dockerfile } from '@atoll/dockerfile';

const SECRET = /(^|_)(PASSWORD|PASSWD|PWD|SECRET|TOKEN|APIKEY|API_KEY|AUTH|CREDENTIALS?|PRIVATE_KEY)(_|$)/i;

/** What the user should know before the first step. */
export function warningsOf(dockerfile: Dockerfile): string[] {
  const warnings = [...dockerfile.warnings];
  if (dockerfile.syntax !== undefined) {
    warnings.push(
      `[Warning] # syntax=${dockerfile.syntax} is ignored: this builder fetches no frontend and reads the file itself`,
    );
  }
  const names = dockerfile.stages
    .flatMap((stage) => stage.instructions)
    .flatMap((one) => (one.kind === 'ARG' ? one.args : one.kind === 'ENV' ? one.pairs : []))
    .map(({ name }) => name);
  for (const name of new Set(names)) {
    if (!SECRET.test(name)) continue;
    warnings.push(`[Warning] ${name} looks like a secret: values of ARG and ENV can be read in the image's history`);
  }
  return warnings;
}

/** Docker's warning about build args no ARG declares, in its red; undefined when there are none. */
export function unusedArgsWarning(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  return `\u001b[91m[Warning] One or more build-args [${names.join(' ')}] were not consumed\n\u001b[0m`;
}
