import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { dockerOk } from './docker.ts';

/** An image of busybox with the machine's docker CLI, as a CI runner has it, and what it is linked with. */
export async function buildDockerCliImage(tag: string): Promise<void> {
  await build(tag, ['FROM busybox', 'COPY root /', 'ENV DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=0'], (root) => {
    const program = execFileSync('sh', ['-c', 'readlink -f "$(command -v docker)"'], { encoding: 'utf8' }).trim();
    copyInto(root, program, '/usr/bin/docker');
    for (const library of librariesOf(program)) copyInto(root, library, library);
  });
}

/** An image with `e2e/reaper`, which stands in for testcontainers' own. */
export async function buildReaperImage(tag: string): Promise<void> {
  // By this label of its image testcontainers finds a reaper that runs.
  const label = 'LABEL org.testcontainers.ryuk=true';
  await build(tag, ['FROM scratch', label, 'COPY root /', 'EXPOSE 8080', 'ENTRYPOINT ["/reaper"]'], (root) => {
    const source = join(import.meta.dirname, '../reaper/reaper.c');
    execFileSync('cc', ['-std=gnu17', '-O1', '-static', '-s', '-o', join(root, 'reaper'), source]);
  });
}

async function build(tag: string, lines: readonly string[], fill: (root: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-image-'));
  try {
    mkdirSync(join(folder, 'root'));
    fill(join(folder, 'root'));
    writeFileSync(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`);
    await dockerOk(['build', '-q', '-t', tag, folder], { timeoutMs: 120_000 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copyInto(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(from, join(root, to));
}

/** Paths of the shared libraries and the loader; none of a static program. */
function librariesOf(program: string): readonly string[] {
  try {
    const text = execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n').flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  } catch {
    return [];
  }
}
