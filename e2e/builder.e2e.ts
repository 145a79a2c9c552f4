// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles are full of them
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DockerStream, docker, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';
import { until } from './lib/until.ts';

let context: string;

/** One context for all: some files, a folder, an archive. */
beforeAll(() => {
  context = mkdtempSync(join(tmpdir(), 'atoll-e2e-builder-'));
  const files = { 'a.txt': 'A', 'b.txt': 'B', 'dir/one': '1', 'dir/sub/two': '2', 'pack/in/tar': 'T' };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    writeFileSync(join(context, name), text);
  }
  chmodSync(join(context, 'b.txt'), 0o755);
  execFileSync('tar', ['-czf', 'pack.tgz', '--owner=1000', '--group=1001', '--numeric-owner', '-C', 'pack', 'in'], {
    cwd: context,
  });
});
afterAll(() => rmSync(context, { recursive: true, force: true }));

async function build(dockerfile: string, args: readonly string[] = ['--no-cache']) {
  const file = `${unique('Dockerfile')}`;
  writeFileSync(join(context, file), dockerfile);
  return await docker(['build', '-f', join(context, file), ...args, context], { timeoutMs: 110_000 });
}

/** What the last RUN of a build printed. */
async function printed(dockerfile: string): Promise<string> {
  const { code, stdout, stderr } = await build(dockerfile);
  expect(code, stdout + stderr).toBe(0);
  const at = stdout.lastIndexOf(' ---> Running in');
  return stdout.slice(stdout.indexOf('\n', at) + 1, stdout.indexOf(' ---> Removed', at));
}

describe('what a build on real hosts makes', () => {
  test.each<[string, string, string]>([
    ['a file under another name', 'COPY a.txt /x/y\nRUN cat /x/y', 'A'],
    ['a file in an existing folder', 'COPY a.txt /etc\nRUN cat /etc/a.txt', 'A'],
    ['the content of a folder', 'COPY dir /x\nRUN cat /x/one /x/sub/two', '12'],
    ['several files and wildcards', 'COPY *.txt dir/one /x/\nRUN cat /x/a.txt /x/b.txt /x/one', 'AB1'],
    ['modes, and root as the owner', 'COPY b.txt /x\nRUN stat -c %a:%u:%g /x', '755:0:0\n'],
    ['--chown and --chmod', 'COPY --chown=7:8 --chmod=640 b.txt /x\nRUN stat -c %a:%u:%g /x', '640:7:8\n'],
    ['--chown by name', 'COPY --chown=www:extra b.txt /x\nRUN stat -c %u:%g /x', '33:44\n'],
    [
      'through a link in the image',
      'RUN mkdir /real && ln -s real /l\nCOPY a.txt /l/\nRUN cat /real/a.txt && stat -c :%F /l',
      'A:symbolic link\n',
    ],
    ['below WORKDIR', 'WORKDIR /w/v\nCOPY a.txt .\nRUN cat a.txt; pwd', 'A/w/v\n'],
    ['an archive, with its owners', 'ADD pack.tgz /x\nRUN cat /x/in/tar; stat -c :%u:%g /x/in/tar', 'T:1000:1001\n'],
    ['what was deleted stays deleted', 'RUN rm /etc/group\nRUN ls /etc/group 2>/dev/null; echo $?', '1\n'],
    ['another user', 'USER www\nRUN id -u; id -g', '33\n33\n'],
    ['no network when asked', 'RUN --network=none ls /sys/class/net', 'lo\n'],
    [
      'files of another stage',
      'RUN mkdir /o && echo x >/o/a.bin && echo y >/o/b.bin\nFROM busybox\nCOPY --from=0 /o/*.bin /q/\nRUN cat /q/*',
      'x\ny\n',
    ],
    [
      'a folder of another stage',
      'RUN mkdir -p /o/s && echo x >/o/s/a && chmod 700 /o/s\nFROM busybox\nCOPY --from=0 /o /q\nRUN cat /q/s/a; stat -c %a /q/s',
      'x\n700\n',
    ],
    ['files of an image', 'COPY --from=busybox:latest /etc/passwd /p\nRUN head -c 4 /p', 'root'],
  ])('%s', async (_name, instructions, want) => {
    expect(await printed(`FROM busybox\n${instructions}`)).toBe(want);
  });

  test('is the same image bit for bit with a source date', async () => {
    const dockerfile =
      'FROM busybox\nRUN mkdir -p /m/d && echo x >/m/d/f\nCOPY dir /dir\nWORKDIR /w\nRUN rm /etc/group';
    const args = ['-q', '--no-cache', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000'];
    const ids = [await build(dockerfile, args), await build(dockerfile, args)].map(({ stdout }) => stdout);
    expect(ids[0]).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(ids[1]).toBe(ids[0]);
  });
});

describe('failures', () => {
  test.each<[string, string, RegExp]>([
    ['a command', 'RUN exit 42', /The command '\/bin\/sh -c exit 42' returned a non-zero code: 42/],
    [
      'a missing file',
      'COPY nope /',
      /COPY failed: file not found in build context or excluded by \.dockerignore: stat nope: file does not exist/,
    ],
    [
      'a missing file of an image',
      'COPY --from=busybox /app/dist /',
      /COPY failed: stat app\/dist: file does not exist/,
    ],
    ['nothing that matches', 'COPY --from=busybox /nope/* /x/', /COPY failed: no source files were specified/],
    ['a file where a folder is needed', 'COPY a.txt /bin/busybox/x', /COPY failed: .*Not a directory/i],
    ['an unknown user', 'COPY --chown=nobodyknows a.txt /', /unable to find user nobodyknows/],
    ['a program that is not there', 'RUN ["nope"]', /nope.*executable file not found/],
    ['an unknown instruction', 'FOO bar', /dockerfile parse error on line 2: unknown instruction: FOO/],
  ])('%s', async (_name, instruction, want) => {
    const { code, stderr } = await build(`FROM busybox\n${instruction}`);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(want);
  });

  test('a client that goes away takes its step along', async () => {
    const seconds = `${20_000 + Math.floor(Math.random() * 9_000)}`;
    const file = join(context, unique('Dockerfile'));
    writeFileSync(file, `FROM busybox\nRUN echo started; sleep ${seconds}`);
    const sleeping = async (): Promise<boolean> => (await run('pgrep', ['-f', `^sleep ${seconds}`])).code === 0;
    {
      await using client = new DockerStream(['build', '--no-cache', '-f', file, context]);
      await client.saw('started');
      await until('the step sleeps', sleeping);
    }
    await until('the step has ended', async () => !(await sleeping()));
  });
});
