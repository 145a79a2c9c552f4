import { access } from 'node:fs/promises';

/** False also when it cannot be reached. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
