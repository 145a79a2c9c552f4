import { cleanPath } from '../context/docker-ignore.ts';

/** An absolute path from a WORKDIR or destination, relative ones below `base` (empty = the root). Ends without a slash. */
export function absolutePath(base: string, path: string): string {
  return cleanPath(path.startsWith('/') ? path : `/${base}/${path}`);
}

/** The destination of a COPY or ADD: absolute, and with a slash at its end when it is meant as a directory. */
export function destinationPath(workdir: string, requested: string): string {
  const directory = /(^|\/)\.?$/.test(requested);
  const path = absolutePath(workdir, requested);
  return directory && path !== '/' ? `${path}/` : path;
}
