const S_IFMT = 0o170000;

/** Bits of Go's os.FileMode for the kinds of files of stat(2). */
const KINDS: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31], // folder
  [0o120000, 2 ** 27], // symbolic link
  [0o010000, 2 ** 25], // named pipe
  [0o140000, 2 ** 24], // socket
  [0o060000, 2 ** 26], // block device
  [0o020000, 2 ** 26 + 2 ** 21], // character device
]);

/** `st_mode` as Go's os.FileMode, which Docker sends to its clients. */
export function goFileMode(mode: number): number {
  const special = (mode & 0o4000 ? 2 ** 23 : 0) + (mode & 0o2000 ? 2 ** 22 : 0) + (mode & 0o1000 ? 2 ** 20 : 0);
  return (KINDS.get(mode & S_IFMT) ?? 0) + special + (mode & 0o777);
}
