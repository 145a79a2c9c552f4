const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Docker's order: its own variables first, then the container's, the last of a name winning. */
export function processEnvironment(given: readonly string[], hostname: string, tty: boolean): readonly string[] {
  const own = [DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(tty ? ['TERM=xterm'] : [])];
  const byName = new Map<string, string>();
  for (const item of [...own, ...given]) {
    const name = item.split('=', 1)[0] as string;
    // A name without a value takes the variable away, as in `docker run -e NAME=` does not.
    if (item.includes('=')) byName.set(name, item);
    else byName.delete(name);
  }
  return [...byName.values()];
}
