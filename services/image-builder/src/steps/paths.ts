import { absolutePath } from '@atoll/dockerfile';

/** The destination of a COPY or ADD: absolute, and with a slash at its end when it is meant as a directory. */
export function destinationPath(workdir: string, requested: string): string {
  const directory = /(^|\/)\.?$/.test(requested);
  const path = absolutePath(workdir, requested);
  return directory && path !== '/' ? `${path}/` : path;
}
