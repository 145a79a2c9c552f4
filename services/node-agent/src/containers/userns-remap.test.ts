import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type IdFiles, remapOf } from './userns-remap.ts';

let folder: string;
let files: IdFiles;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-ids-'));
  files = { uids: join(folder, 'subuid'), gids: join(folder, 'subgid') };
  await writeFile(files.uids, 'ann:65536:1000\nann:200000:100000\nbob:300000:65536\nlow:1000:65536\n');
  await writeFile(files.gids, 'ann:400000:65536\nstaff:500000:65536\n');
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe('ATOLL_USERNS_REMAP', () => {
  test.each([
    ['100000:65536', { uid: 100_000, gid: 100_000, size: 65_536 }],
    ['65536:1000000', { uid: 65_536, gid: 65_536, size: 1_000_000 }],
    ['ann', { uid: 200_000, gid: 400_000, size: 65_536 }],
    ['bob:staff', { uid: 300_000, gid: 500_000, size: 65_536 }],
  ])('%s', async (option, ids) => {
    expect(await remapOf(option, files)).toEqual(ids);
  });

  test.each([
    ['1000:65536', /first id is at least 65536/],
    ['100000:1000', /there are at least 65536/],
    ['2147400000:100000', /below 2147483647/],
    ['bob', /gives "bob" no range of 65536 ids: add a line such as bob:100000:65536/],
    ['nobody', /subuid gives "nobody" no range/],
    ['low:staff', /first id is at least 65536/],
    ['a:b:c', /neither a user, user:group/],
    ['-1:65536', /neither a user, user:group/],
    ['100000', /neither a user, user:group/],
  ])('%s is refused', async (option, words) => {
    await expect(remapOf(option, files)).rejects.toThrow(words);
  });
  test('without the files no user has ids', async () => {
    await expect(remapOf('ann', { uids: '/nowhere/a', gids: '/nowhere/b' })).rejects.toThrow(/no range/);
  });
});
