import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const GENERATED = 'libs/proto/src/gen';

const filesOf = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .sort();

test('the generated code is what the protos say', () => {
  const copy = mkdtempSync(join(tmpdir(), 'atoll-proto-'));
  try {
    for (const name of ['proto', 'buf.yaml', 'buf.gen.yaml'])
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    execFileSync(join(ROOT, 'node_modules/.bin/buf'), ['generate'], { cwd: copy, stdio: 'pipe' });
    const fresh = filesOf(join(copy, GENERATED));
    expect(filesOf(join(ROOT, GENERATED))).toEqual(fresh);
    for (const name of fresh) {
      const committed = readFileSync(join(ROOT, GENERATED, name), 'utf8');
      expect(committed === readFileSync(join(copy, GENERATED, name), 'utf8'), `${name}: run npm run proto`).toBe(true);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}, 60_000);

test('the protos keep the rules of buf', () => {
  execFileSync(join(ROOT, 'node_modules/.bin/buf'), ['lint', 'proto'], { cwd: ROOT, stdio: 'pipe' });
});
