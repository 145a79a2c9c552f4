import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { docker, dockerOk, runOn, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';
import { registryAddress } from './lib/services.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-images-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a build context and builds it with the classic builder. */
async function build(files: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const context = mkdtempSync(join(folder, 'context-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    writeFileSync(join(context, name), text);
  }
  return docker(['build', ...args, context], { timeoutMs: 110_000 });
}

describe('docker build', () => {
  test('a real image: stages, files, metadata', async () => {
    const tag = `${unique('app')}:1`;
    const result = await build(
      {
        Dockerfile: `
          ARG BASE=busybox
          FROM $BASE AS compile
          ARG WHAT=world
          RUN mkdir /out && echo "hello $WHAT" > /out/greeting
          FROM busybox
          LABEL org.example.kind=e2e
          ENV GREETING_FILE=/app/greeting
          WORKDIR /app
          COPY --from=compile /out/ ./
          COPY --chown=33:33 static/ static/
          RUN chmod 755 /app && ln -s /app/greeting /greeting
          EXPOSE 80
          VOLUME /data
          STOPSIGNAL SIGINT
          USER www
          ENTRYPOINT ["sh", "-c"]
          CMD ["cat $GREETING_FILE"]
        `.replace(/^ {10}/gm, ''),
        'static/index.html': '<p>hi</p>',
        'static/ignored.log': 'no',
        '.dockerignore': '**/*.log\n',
      },
      ['-t', tag, '--build-arg', 'WHAT=atoll'],
    );
    expect(result.code, result.stderr + result.stdout).toBe(0);
    expect(result.stdout).toMatch(/Step 1\/17 : ARG BASE=busybox/);
    expect(result.stdout).toMatch(/Successfully built [0-9a-f]{12}/);
    expect(result.stdout).toContain(`Successfully tagged ${tag}`);
    expect(await dockerOk(['run', '--rm', tag])).toBe('hello atoll');
    expect(await dockerOk(['run', '--rm', tag, 'ls -n /app/static'])).toMatch(/^-rw.* 33 +33 .* index\.html$/m);
    expect(await dockerOk(['run', '--rm', tag, 'ls /app/static'])).toBe('index.html');
    const config = JSON.parse(await dockerOk(['image', 'inspect', '-f', '{{json .Config}}', tag]));
    expect(config).toMatchObject({
      User: 'www',
      WorkingDir: '/app',
      StopSignal: 'SIGINT',
      Labels: { 'org.example.kind': 'e2e' },
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/data': {} },
    });
    expect(await dockerOk(['history', '--no-trunc', '--format', '{{.CreatedBy}}', tag])).toContain('STOPSIGNAL');
    await dockerOk(['rmi', tag]);
  });

  test('the second build comes from the cache, a change does not', async () => {
    const files = { Dockerfile: 'FROM busybox\nCOPY a /a\nRUN cat /a > /b\n', a: unique('content') };
    const first = await build(files);
    expect(first.code, first.stderr).toBe(0);
    const second = await build(files);
    expect(second.stdout.match(/Using cache/g)?.length).toBe(2);
    expect(idOf(second.stdout)).toBe(idOf(first.stdout));
    const third = await build({ ...files, a: unique('other') });
    expect(third.stdout).not.toContain('Using cache');
    const fourth = await build(files, ['--no-cache']);
    expect(fourth.stdout).not.toContain('Using cache');
  });

  test.each([
    [
      'an unknown instruction, with its line',
      'FROM busybox\nFOO bar\n',
      /dockerfile parse error on line 2: unknown instruction: FOO/i,
    ],
    ['no FROM', 'RUN true\n', /no build stage in current context/i],
    ['an empty file', '\n', /cannot be empty|no instructions/i],
    ['a RUN that fails', 'FROM busybox\nRUN exit 3\n', /returned a non-zero code: 3/],
    [
      'a file that is not in the context',
      'FROM busybox\nCOPY nothing /x\n',
      /file not found in build context|no such file|not found/i,
    ],
    ['a way out of the context', 'FROM busybox\nCOPY ../../etc/passwd /x\n', /forbidden path|not found|outside/i],
    ['an unknown stage', 'FROM busybox\nCOPY --from=nowhere:none /x /x\n', /nowhere/],
  ])('a clear error for %s', async (_name, dockerfile, message) => {
    const result = await build({ Dockerfile: dockerfile });
    expect(result.code).not.toBe(0);
    expect(result.stderr + result.stdout).toMatch(message);
  });

  test('an image built anywhere runs everywhere', async () => {
    const tag = unique('everywhere');
    const result = await build({ Dockerfile: 'FROM busybox\nRUN echo built > /proof\n' }, ['-t', tag]);
    expect(result.code, result.stderr).toBe(0);
    for (const host of [h1, h2, h3]) {
      expect(
        await dockerOk(['run', '--rm', '-l', `atoll.constraints=node.hostname==${host}`, tag, 'cat', '/proof']),
      ).toBe('built');
    }
    await dockerOk(['rmi', tag]);
  });
});

describe('names and removal', () => {
  test('tag, images, rmi', async () => {
    const name = unique('tagged');
    await dockerOk(['tag', 'busybox', `${name}:a`]);
    await dockerOk(['tag', 'busybox', `${name}:b`]);
    const listed = await dockerOk(['images', '--format', '{{.Tag}} {{.ID}}', name]);
    expect(listed.split('\n').sort()).toEqual([
      expect.stringMatching(/^a [0-9a-f]{12}$/),
      expect.stringMatching(/^b [0-9a-f]{12}$/),
    ]);
    expect(await dockerOk(['rmi', `${name}:a`])).toBe(`Untagged: ${name}:a`);
    await dockerOk(['rmi', `${name}:b`]);
    expect(await dockerOk(['images', '-q', name])).toBe('');
  });

  test('an image a container uses is not deleted', async () => {
    const tag = unique('used');
    await build({ Dockerfile: `FROM busybox\nRUN echo ${tag} > /x\n` }, ['-t', tag]);
    const id = await dockerOk(['create', tag, 'true']);
    const refused = await docker(['rmi', tag]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /conflict: unable to remove repository reference .* container .* is using its referenced image/,
    );
    await dockerOk(['rm', id]);
    expect(await dockerOk(['rmi', tag])).toContain('Deleted: sha256:');
  });

  test('rmi of an unknown image', async () => {
    expect((await docker(['rmi', 'nosuchimage'])).stderr).toContain('No such image: nosuchimage');
  });
});

describe('in and out', () => {
  test('save, remove, load gives the same image', async () => {
    const tag = unique('saved');
    await build({ Dockerfile: `FROM busybox\nRUN echo ${tag} > /x\nCMD ["cat", "/x"]\n` }, ['-t', tag]);
    const id = await dockerOk(['images', '-q', '--no-trunc', tag]);
    const file = join(folder, 'saved.tar');
    await dockerOk(['save', '-o', file, tag]);
    await dockerOk(['rmi', tag]);
    expect((await docker(['run', '--rm', tag])).code).toBe(125);
    expect(await dockerOk(['load', '-i', file])).toContain(`Loaded image: ${tag}`);
    expect(await dockerOk(['images', '-q', '--no-trunc', tag])).toBe(id);
    expect(await dockerOk(['run', '--rm', tag])).toBe(tag);
    await dockerOk(['rmi', tag]);
  });

  test('push to another registry, pull back', async () => {
    const name = `${inject('upstream')}/${unique('pushed')}:1`;
    await dockerOk(['tag', 'busybox', name]);
    const pushed = await dockerOk(['push', name]);
    expect(pushed).toMatch(/1: digest: sha256:[0-9a-f]{64} size: \d+/);
    const id = await dockerOk(['images', '-q', '--no-trunc', name]);
    await dockerOk(['rmi', name]);
    expect(await dockerOk(['pull', name])).toContain('Status: Downloaded newer image');
    expect(await dockerOk(['images', '-q', '--no-trunc', name])).toBe(id);
    expect(await dockerOk(['pull', name])).toContain('Status: Image is up to date');
    await dockerOk(['rmi', name]);
  });

  test('docker pull hello-world through a mirror', async () => {
    const file = join(folder, 'hello.tar');
    await dockerOk(['save', '-o', file, 'busybox']);
    const copied = await run('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      `docker-archive:${file}`,
      `docker://${inject('upstream')}/library/hello-world:latest`,
    ]);
    expect(copied.code, copied.stderr).toBe(0);
    expect(await dockerOk(['pull', 'hello-world'])).toContain('docker.io/library/hello-world:latest');
    expect(await dockerOk(['run', '--rm', 'hello-world', 'echo', 'hello'])).toBe('hello');
    await dockerOk(['rmi', 'hello-world']);
  });

  test('what skopeo pushes comes back bit for bit, and runs', async () => {
    const registry = registryAddress();
    const name = unique('skopeo');
    const file = join(folder, 'skopeo.tar');
    await dockerOk(['save', '-o', file, 'busybox']);
    const there = join(folder, 'there');
    const back = join(folder, 'back');
    for (const [from, to] of [
      [`docker-archive:${file}`, `dir:${there}`],
      [`dir:${there}`, `docker://${registry}/${name}:1`],
      [`docker://${registry}/${name}:1`, `dir:${back}`],
    ] as const) {
      const copied = await run('skopeo', [
        'copy',
        '--preserve-digests',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        from,
        to,
      ]);
      expect(copied.code, copied.stderr).toBe(0);
    }
    expect(readdirSync(back).sort()).toEqual(readdirSync(there).sort());
    for (const part of readdirSync(there)) {
      expect(readFileSync(join(back, part)).equals(readFileSync(join(there, part))), part).toBe(true);
    }
    expect(await dockerOk(['run', '--rm', `${name}:1`, 'echo', 'from skopeo'])).toBe('from skopeo');
    await dockerOk(['rmi', `${name}:1`]);
  });
});

test('an image with a volume gets one, and rm -v takes it away', async () => {
  const tag = unique('volume');
  await build({ Dockerfile: 'FROM busybox\nRUN mkdir /data && echo seed > /data/seed\nVOLUME /data\n' }, ['-t', tag]);
  await using container = await runOn(h2, ['--entrypoint', 'sleep'], ['600']);
  expect(await container.inspect('.Mounts')).toEqual([]);
  expect(await dockerOk(['run', '--rm', tag, 'sh', '-c', 'cat /data/seed; grep -c " /data " /proc/mounts'])).toBe(
    'seed\n1',
  );
  await dockerOk(['rmi', tag]);
});

const idOf = (output: string): string | undefined => /Successfully built ([0-9a-f]{12})/.exec(output)?.[1];
