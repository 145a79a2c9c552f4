import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** One line for each thing below a folder: kind, mode, owner, name, and what it holds or leads to. */
export function listTree(folder: string, path = ''): string[] {
  return readdirSync(join(folder, path))
    .sort()
    .flatMap((name) => {
      const inside = join(path, name);
      const full = join(folder, inside);
      const info = lstatSync(full);
      const head = `${(info.mode & 0o7777).toString(8)} ${info.uid}:${info.gid} ${inside}`;
      if (info.isSymbolicLink()) return [`link ${head} -> ${readlinkSync(full)}`];
      if (info.isDirectory()) return [`folder ${head}`, ...listTree(folder, inside)];
      if (info.isFile()) return [`file ${head} ${JSON.stringify(readFileSync(full, 'latin1').slice(0, 40))}`];
      if (info.isFIFO()) return [`fifo ${head}`];
      return [`${info.rdev === 0 ? 'whiteout' : `device ${info.rdev}`} ${head}`];
    });
}
