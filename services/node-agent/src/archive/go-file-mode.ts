const S_IFMT = 0o170000;

/** Bits of Go's os.FileMode for the kinds of files of stat(2). */
const KINDS: Readonly<Record<number, number>> = {
  9604: 2 ** 31, // folder
  21609: 2 ** 27, // symbolic link
  2401: 2 ** 25, // named pipe
  26411: 2 ** 24, // socket
  14406: 2 ** 26, // block device
  4802: 2 ** 26 + 2 ** 21, // character device
};

/** `st_mode` as Go's os.FileMode, which Docker sends to its clients. */
export function goFileMode(mode: number): number {
  const special = (mode & 0o4000 ? 2 ** 23 : 0) + (mode & 0o2000 ? 2 ** 22 : 0) + (mode & 0o1000 ? 2 ** 20 : 0);
  return (KINDS[mode & S_IFMT] ?? 0) + special + (mode & 0o777);
}
