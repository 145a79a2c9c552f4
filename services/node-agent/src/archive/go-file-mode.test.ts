import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { goFileMode } from './go-file-mode.ts';

/** Values of Go's os.FileMode constants (package io/fs). */
const GO = {
  folder: 0x80000000,
  link: 0x8000000,
  device: 0x4000000,
  pipe: 0x2000000,
  socket: 0x1000000,
  character: 0x200000,
};

test('kinds and permissions as Go numbers them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-file-mode-'));
  try {
    mkdirSync(join(folder, 'd'), { mode: 0o750 });
    writeFileSync(join(folder, 'f'), '', { mode: 0o640 });
    symlinkSync('f', join(folder, 'l'));
    execFileSync('mkfifo', ['-m', '600', join(folder, 'p')]);
    expect(goFileMode(statSync(join(folder, 'd')).mode)).toBe(GO.folder + 0o750);
    expect(goFileMode(statSync(join(folder, 'f')).mode)).toBe(0o640);
    expect(goFileMode(lstatSync(join(folder, 'l')).mode)).toBe(GO.link + 0o777);
    expect(goFileMode(statSync(join(folder, 'p')).mode)).toBe(GO.pipe + 0o600);
    expect(goFileMode(statSync('/dev/null').mode)).toBe(GO.device + GO.character + 0o666);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  ['setuid', 0o104755, 0x800000 + 0o755],
  ['setgid', 0o102755, 0x400000 + 0o755],
  ['sticky folder', 0o041777, GO.folder + 0x100000 + 0o777],
  ['socket', 0o140700, GO.socket + 0o700],
  ['block device', 0o060660, GO.device + 0o660],
])('%s', (_name, mode, want) => {
  expect(goFileMode(mode)).toBe(want);
});
