import { cleanPath, DOCKERFILE_LIMITS } from '@atoll/dockerfile';
import { invalidArgument } from '@atoll/errors';
import { isDirectory } from '../context/context-node.ts';
import type { ContextTree } from '../context/context-tree.ts';
import { DockerIgnore } from '../context/docker-ignore.ts';
import type { BuildContext } from '../context/load-context.ts';

const IGNORE_BYTES = 1 << 20;

/**
 * Reads the Dockerfile out of the context, then takes out of the context what `.dockerignore` excludes (the Dockerfile too, when
 * it says so: it is still built from).
 */
export async function takeDockerfile(context: BuildContext, path: string): Promise<Buffer> {
  const name = path === '' ? 'Dockerfile' : path;
  const cleaned = cleanPath(name).replace(/^\/+/, '');
  if (cleaned.startsWith('../')) throw invalidArgument(`forbidden path outside the build context: ${name}`);
  const bytes =
    (await content(context, cleaned, DOCKERFILE_LIMITS.fileBytes)) ??
    (path === '' || path === 'Dockerfile'
      ? await content(context, 'dockerfile', DOCKERFILE_LIMITS.fileBytes)
      : undefined);
  if (!bytes) throw invalidArgument(`Cannot locate specified Dockerfile: ${name}`);
  if (bytes.length === 0) throw invalidArgument(`the Dockerfile (${name}) cannot be empty`);
  await applyIgnore(context);
  return bytes;
}

async function applyIgnore(context: BuildContext): Promise<void> {
  const text = await content(context, '.dockerignore', IGNORE_BYTES);
  if (text) DockerIgnore.parse(text.toString('utf8')).apply(context.tree.root);
}

async function content(context: { tree: ContextTree; spool: BuildContext['spool'] }, path: string, limit: number) {
  const node = context.tree.find(path);
  if (!node || isDirectory(node) || node.entry.type !== 'file') return undefined;
  if (node.entry.size > limit) throw invalidArgument(`${path} has ${node.entry.size} bytes; at most ${limit} are read`);
  return Buffer.from(await context.spool.piece(node.offset, node.entry.size));
}
