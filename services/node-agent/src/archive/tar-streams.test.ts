import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PathPattern } from './path-pattern.ts';
import { rewriteTar, type TarChanges } from './rewrite-tar.ts';
import { tarNames } from './tar-names.ts';

const LONG = `${'d'.repeat(90)}/${'f'.repeat(150)}`;
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atoll-tar-streams-'));
  mkdirSync(join(folder, 'in/sub'), { recursive: true, mode: 0o700 });
  mkdirSync(join(folder, 'in', LONG, '..'), { recursive: true });
  writeFileSync(join(folder, 'in/a'), 'content of a', { mode: 0o640 });
  writeFileSync(join(folder, 'in/sub/old'), 'o'.repeat(2000));
  writeFileSync(join(folder, 'in', LONG), 'long');
  symlinkSync('a', join(folder, 'in/link'));
  utimesSync(join(folder, 'in/sub/old'), 1000, 1000);
  utimesSync(join(folder, 'in/a'), 1_800_000_000.5, 1_800_000_000.5);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tarOf = (format: string): Buffer =>
  execFileSync('tar', ['-c', `--format=${format}`, '--sort=name', '-C', join(folder, 'in'), '.'], { cwd: folder });

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function rewritten(tar: Buffer, changes: TarChanges, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of rewriteTar(chunks(tar, size), changes)) parts.push(part);
  return Buffer.concat(parts);
}

/** What the system's tar finds in it: permissions, seconds and name of each member. */
function listed(tar: Buffer): string[] {
  const options = { input: tar, encoding: 'utf8' as const, env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' } };
  const lines = execFileSync('tar', ['-tv', '--full-time', '--numeric-owner', '-f', '-'], options).trim().split('\n');
  return lines.map((line) => {
    const [mode = '', , , day, time, ...name] = line.split(/\s+/);
    return `${mode} ${Date.parse(`${day}T${time}Z`) / 1000} ${name.join(' ')}`;
  });
}

describe.each(['gnu', 'posix'])('a tar of format %s', (format) => {
  test.each([7, 512, 100_000])('gets other permissions, links apart (chunks of %i)', async (size) => {
    const lines = listed(await rewritten(tarOf(format), { mode: 0o604 }, size));
    expect(lines).toHaveLength(listed(tarOf(format)).length);
    for (const line of lines) {
      expect(line).toMatch(line.includes(' ./link') ? /^lrwxrwxrwx / : /^[d-]rw----r-- /);
    }
  });

  test.each([7, 512, 100_000])('gets no time after the epoch, older ones stay (chunks of %i)', async (size) => {
    const lines = listed(await rewritten(tarOf(format), { epoch: 1_700_000_000 }, size));
    const times = lines.map((line) => [line.split(' ')[2], Number(line.split(' ')[1])]);
    for (const [name, time] of times) expect(time).toBe(name === './sub/old' ? 1000 : 1_700_000_000);
  });

  test.runIf(format === 'posix').each([7, 512, 100_000])('gets plain names (chunks of %i)', async (size) => {
    linkSync(join(folder, 'in/a'), join(folder, 'in/hard'));
    linkSync(join(folder, 'in', LONG), join(folder, 'in/sub/hard'));
    const out = await rewritten(tarOf(format), { plainNames: true }, size);
    const names = (tar: Buffer): string[] => listed(tar).map((line) => line.split(' ').slice(2).join(' '));
    const want = names(tarOf(format)).map((name) =>
      name.replace(/^\.\/(?=.)/, '').replace(/ link to \.\//, ' link to '),
    );
    expect(names(out)).toEqual(want);
    expect(names(out)).toContain('link -> a');
    expect(execFileSync('tar', ['-xO', '-f', '-', 'a', LONG], { input: out }).toString()).toBe('content of along');
  });

  test('keeps its contents', async () => {
    const out = await rewritten(tarOf(format), { mode: 0o644, epoch: 5 }, 999);
    expect(execFileSync('tar', ['-xO', '-f', '-', './a', './sub/old', `./${LONG}`], { input: out }).toString()).toBe(
      `content of a${'long'}${'o'.repeat(2000)}`,
    );
  });

  test.each([7, 100_000])('is the same bytes whenever it was made (chunks of %i)', async (size) => {
    const first = await rewritten(tarOf(format), { epoch: 900 }, size);
    utimesSync(join(folder, 'in/a'), 1_900_000_000, 1_900_000_000.25);
    expect((await rewritten(tarOf(format), { epoch: 900 }, 4096)).equals(first)).toBe(true);
  });

  test('tells its names', async () => {
    const names: string[] = [];
    for await (const name of tarNames(chunks(tarOf(format), 100))) names.push(name);
    expect(names.sort()).toEqual(['a', LONG.split('/')[0], LONG, 'link', 'sub', 'sub/old'].sort());
  });
});

test.each([
  ['cut off', (tar: Buffer) => tar.subarray(0, 700), 'ends too early'],
  ['no tar', () => Buffer.alloc(512, 'x'), 'malformed'],
])('%s is refused', async (_name, spoil, want) => {
  await expect(rewritten(spoil(tarOf('gnu')), { mode: 0o644 }, 100)).rejects.toThrow(want);
});

describe('patterns', () => {
  // biome-ignore format: a table
  test.each([
    ['/o/*.bin', '/o', 'a.bin', true], ['/o/*.bin', '/o', 'a.txt', false], ['/o/*.bin', '/o', 's/a.bin', false], ['/*', '/', 'x', true],
    ['/a/*/c', '/a', 'b/c', true], ['/a/*/c', '/a', 'b/d', false], ['/a/b?', '/a', 'bc', true], ['/a/b?', '/a', 'b', false], ['/a/[b-d]', '/a', 'c', true],
    ['/a/[^b]', '/a', 'b', false], ['/a/\\*', '/a', '*', true], ['/a/\\*', '/a', 'b', false], ['/a/*a*b*', '/a', 'xaxxbx', true], ['/a/*a*b*', '/a', 'xbxa', false],
    ['/a/[]b]', '', '', undefined], ['/a/[', '', '', undefined], ['/a/b\\', '', '', undefined], ['/a/[b-]', '', '', undefined],
  ])('%s below %s: %s %s', (pattern, base, path, want) => {
    if (want === undefined) expect(() => new PathPattern(pattern)).toThrow('syntax error in pattern');
    else {
      expect(new PathPattern(pattern).base).toBe(base);
      expect(new PathPattern(pattern).matches(path)).toBe(want);
    }
  });
  test('many stars do not cost much', () => {
    expect(new PathPattern(`/${'*a'.repeat(60)}`).matches(`${'a'.repeat(250)}b`)).toBe(false);
  });
});
