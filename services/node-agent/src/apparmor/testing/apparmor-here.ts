import { readFileSync } from 'node:fs';
import { runTool } from '../../processes/run-tool.ts';

/** Why what needs AppArmor does not apply to the machine of the tests; undefined when it does. */
export const NOT_APPLICABLE = reason();

function reason(): string | undefined {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  if (!read('/sys/module/apparmor/parameters/enabled').startsWith('Y'))
    return 'not applicable: this kernel has no AppArmor';
  return read('/proc/self/attr/apparmor/current').trim() === 'unconfined'
    ? undefined
    : 'not applicable: the tests are confined themselves';
}

/** A profile for the body's time that refuses to write /tmp/denied and nothing else that matters here. */
export async function withProfile(name: string, body: () => Promise<void>): Promise<void> {
  const text = `profile ${name} flags=(attach_disconnected) {\n file,\n capability,\n network,\n signal,\n ptrace,\n deny /tmp/denied w,\n}\n`;
  await runTool('apparmor_parser', ['--replace', '--skip-cache'], { input: text, timeoutMs: 60_000 });
  try {
    await body();
  } finally {
    await runTool('apparmor_parser', ['--remove'], { input: text, timeoutMs: 60_000 });
  }
}
