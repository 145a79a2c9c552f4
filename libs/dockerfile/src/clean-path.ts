/** Go's filepath.Clean: no empty parts, no dots, `..` taken back where there is something to take back. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!rooted) parts.push('..');
  }
  const joined = parts.join('/');
  return rooted ? `/${joined}` : joined || '.';
}

/** An absolute path from a WORKDIR or destination, relative ones below `base` (empty = the root). Ends without a slash. */
export function absolutePath(base: string, path: string): string {
  return cleanPath(path.startsWith('/') ? path : `/${base}/${path}`);
}
