// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles are full of them
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { asAtollError } from '@atoll/errors';
import { buildV1 } from '@atoll/proto';
import { testPki } from '@atoll/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseImage } from './testing/busybox-image.ts';
import { type Described, tarOf } from './testing/tar-of.ts';
import { type BuildAnswer, TestCluster } from './testing/test-cluster.ts';

const ID = '[0-9a-f]{12}';
let cluster: TestCluster;
let pki: Awaited<ReturnType<typeof testPki>>;

beforeAll(async () => {
  pki = await testPki();
  cluster = await TestCluster.start(pki.identity, { hosts: 3 });
  cluster.registry.createImage(baseImage(cluster.registry, { tag: 'busybox' }));
});
afterAll(() => cluster.stop());

type Options = Parameters<TestCluster['build']>[1];
type Files = Readonly<Record<string, Described>>;

const build = (dockerfile: string, files: Files = {}, options: Options = {}): Promise<BuildAnswer> =>
  cluster.build(tarOf({ Dockerfile: dockerfile, ...files }), options);

/** Builds and gives what the last RUN printed, without its frame. */
async function printed(dockerfile: string, files: Files = {}, options: Options = {}): Promise<string> {
  const answer = await build(dockerfile, files, { ...options, noCache: true });
  expect(answer.failure, answer.text).toBeUndefined();
  const run = answer.text.lastIndexOf(' ---> Running in');
  return answer.text.slice(answer.text.indexOf('\n', run) + 1, answer.text.lastIndexOf(' ---> Removed'));
}

const calls = (): number => cluster.agents.reduce((sum, agent) => sum + agent.calls.length, 0);
const cachedSteps = (text: string): number => text.match(/ ---> Using cache/g)?.length ?? 0;

describe('the classic build stream', () => {
  const context = {
    Dockerfile:
      'FROM busybox\nENV GREETING=hello\nCOPY a.txt /data/\nRUN cat /data/a.txt && echo $GREETING >/out\nCMD ["cat", "/out"]\n',
    'a.txt': 'content of a\n',
  };

  test('of a build that runs and of the same one cached', async () => {
    const first = await cluster.build(tarOf(context), { tags: ['app', 'app:v1'] });
    expect(first.failure).toBeUndefined();
    const lines = [
      'Step 1/5 : FROM busybox',
      ` ---> ${ID}`,
      'Step 2/5 : ENV GREETING=hello',
      ` ---> Running in ${ID}`,
      ` ---> Removed intermediate container ${ID}`,
      ` ---> ${ID}`,
      'Step 3/5 : COPY a\\.txt /data/',
      ` ---> ${ID}`,
      'Step 4/5 : RUN cat /data/a\\.txt && echo \\$GREETING >/out',
      ` ---> Running in ${ID}`,
      'content of a',
      ` ---> Removed intermediate container ${ID}`,
      ` ---> ${ID}`,
      'Step 5/5 : CMD \\["cat", "/out"\\]',
      ` ---> Running in ${ID}`,
      ` ---> Removed intermediate container ${ID}`,
      ` ---> ${first.id.slice(7, 19)}`,
      `Successfully built ${first.id.slice(7, 19)}`,
      'Successfully tagged app:latest',
      'Successfully tagged app:v1',
    ];
    expect(first.text).toMatch(new RegExp(`^${lines.join('\n')}\n$`));

    const before = calls();
    const second = await cluster.build(tarOf(context), { tags: ['app'] });
    expect(cachedSteps(second.text)).toBe(4);
    expect(second.text).not.toContain('Running in');
    expect(second.id).toBe(first.id);
    expect(calls()).toBe(before);
  });

  test('quiet is the id alone, or everything when it fails', async () => {
    const good = await build('FROM busybox\nRUN echo quiet', {}, { quiet: true });
    expect(good).toMatchObject({ text: '', id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), failure: undefined });
    const bad = await build('FROM busybox\nRUN echo loud; false', {}, { quiet: true });
    expect(bad.text).toContain('loud\n');
    expect(bad.failure?.code).toBe(1);
  });

  test('standard error is red, and without rm no removal is claimed', async () => {
    const { text } = await build('FROM busybox\nRUN echo oops >&2', {}, { rm: false });
    expect(text).toContain('\u001b[91moops\n\u001b[0m');
    expect(text).not.toContain('Removed');
  });

  test('warns of build args nobody uses, of ignored frontends and of secrets', async () => {
    const { text } = await build(
      '# syntax=evil/frontend\nFROM busybox\nARG API_TOKEN\nRUN true',
      {},
      { buildArgs: { z: '1', y: '' } },
    );
    expect(text).toContain('[Warning] One or more build-args [y z] were not consumed');
    expect(text).toContain('# syntax=evil/frontend is ignored');
    expect(text).toContain('API_TOKEN looks like a secret');
  });
});

describe('failures', () => {
  test.each<[string, string, number, number, string]>([
    ['a RUN', 'FROM busybox\n\nRUN false', 3, 1, "The command '/bin/sh -c false' returned a non-zero code: 1"],
    [
      'its code',
      'FROM busybox\nRUN ["sh", "-c", "exit 42"]',
      2,
      42,
      "The command 'sh -c exit 42' returned a non-zero code: 42",
    ],
    [
      'a missing source',
      'FROM busybox\nCOPY nope /',
      2,
      1,
      'COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist',
    ],
    [
      'an excluded source',
      'FROM busybox\nADD secret /',
      2,
      1,
      'ADD failed: file not found in build context or excluded by .dockerignore: stat secret: file does not exist',
    ],
    ['no match', 'FROM busybox\nCOPY *.nope /', 2, 1, 'COPY failed: no source files were specified'],
    [
      'many into a file',
      'FROM busybox\nCOPY a b /x',
      2,
      1,
      'When using COPY with more than one source file, the destination must be a directory and end with a /',
    ],
    ['outside', 'FROM busybox\nCOPY ../a /', 2, 1, 'COPY failed: forbidden path outside the build context: ../a ()'],
    [
      'a stage’s missing file',
      'FROM busybox AS x\nFROM busybox\nCOPY --from=x /app/dist /',
      3,
      1,
      'COPY failed: stat app/dist: file does not exist',
    ],
    [
      'a URL',
      'FROM busybox\nADD https://example.org/x /',
      2,
      1,
      'ADD of a remote URL (https://example.org/x) is not supported',
    ],
    ['a git repository', 'FROM busybox\nADD git@github.com:a/b.git /', 2, 1, 'ADD of a git repository'],
    ['a URL for COPY', 'FROM busybox\nCOPY http://x/y /', 2, 1, "source can't be a URL for COPY"],
    ['a bad mode', 'FROM busybox\nCOPY --chmod=u+x a /', 2, 1, "invalid chmod parameter: 'u+x'"],
    ['another platform', 'FROM --platform=linux/s390x busybox', 1, 1, 'platform linux/s390x cannot be built'],
    ['a bad substitution', 'FROM busybox\nENV a=${b', 2, 1, 'failed to process "${b": syntax error: missing \'}\''],
    ['an unknown image', 'FROM nope:1', 1, 1, 'pull access denied for nope'],
    [
      'the host’s network',
      'FROM busybox\nRUN --network=host true',
      2,
      1,
      'RUN --network=host is allowed only in a build started with --network=host',
    ],
  ])('%s', async (_name, dockerfile, line, code, message) => {
    const files = { a: 'a', b: 'b', secret: 's', '.dockerignore': 'secret' };
    const answer = await build(dockerfile, files, { noCache: true });
    expect(answer.failure).toMatchObject({ line, code });
    expect(answer.failure?.message).toContain(message);
    expect(answer.id).toBe('');
    expect(answer.text).not.toContain('Successfully');
  });

  test.each<[string, string, Options, string]>([
    ['a parse error', 'FROM busybox\nFOO', {}, 'dockerfile parse error on line 2: unknown instruction: FOO'],
    [
      'a later stage',
      'FROM busybox\nCOPY --from=1 /a /\nFROM b',
      {},
      'on line 2: invalid from flag value 1: invalid stage index',
    ],
    ['an empty file', '', {}, 'the Dockerfile (Dockerfile) cannot be empty'],
    ['no such Dockerfile', 'FROM busybox', { dockerfile: 'other' }, 'Cannot locate specified Dockerfile: other'],
    ['a Dockerfile outside', 'FROM busybox', { dockerfile: '../x' }, 'forbidden path outside the build context'],
    ['no such target', 'FROM busybox', { target: 'x' }, 'failed to reach build target x in Dockerfile'],
    ['a bad tag', 'FROM busybox', { tags: ['UPPER'] }, 'invalid reference format'],
    ['a digest as tag', 'FROM busybox', { tags: [`a@sha256:${'0'.repeat(64)}`] }, 'build tag cannot contain a digest'],
    ['another platform', 'FROM busybox', { platform: 'linux/arm64' }, 'platform linux/arm64 cannot be built'],
    ['a bad date', 'FROM busybox', { buildArgs: { SOURCE_DATE_EPOCH: 'now' } }, 'invalid SOURCE_DATE_EPOCH'],
    ['a bad ignore file', 'FROM busybox', {}, '.dockerignore line 1: syntax error in pattern [x'],
  ])('before the first step is the call’s own error: %s', async (name, dockerfile, options, message) => {
    const files: Files = name.includes('ignore') ? { '.dockerignore': '[x' } : {};
    const failed = await build(dockerfile, files, options).catch(asAtollError);
    expect(failed).toMatchObject({ reason: 'invalid-argument' });
    expect(String((failed as Error).message)).toContain(message);
  });

  test('nothing but scratch is no image', async () => {
    expect((await build('FROM scratch')).failure?.message).toBe('No image was generated. Is your Dockerfile empty?');
  });
});

describe('files', () => {
  const files: Files = {
    'a.txt': 'A',
    'b.txt': { content: 'B', mode: 0o755 },
    'dir/one': '1',
    'dir/sub/two': '2',
    'pack.tgz': gzipSync(tarOf({ 'in/tar': { content: 'T', uid: 1000 } })),
  };
  test.each<[string, string, string]>([
    ['a file to a name', 'COPY a.txt /x/y\nRUN cat /x/y', 'A'],
    ['a file into a named directory', 'COPY a.txt /x/\nRUN cat /x/a.txt', 'A'],
    ['a file into an existing directory', 'COPY a.txt /etc\nRUN cat /etc/a.txt', 'A'],
    ['a directory is its content', 'COPY dir /x\nRUN cat /x/one /x/sub/two', '12'],
    ['several and wildcards', 'COPY *.txt dir/one /x/\nRUN cat /x/a.txt /x/b.txt /x/one', 'AB1'],
    ['modes are kept', 'COPY b.txt /x\nRUN stat -c %a:%u /x', '755:0\n'],
    ['chown and chmod', 'COPY --chown=7:8 --chmod=640 b.txt /x\nRUN stat -c %a:%u:%g /x', '640:7:8\n'],
    ['relative to WORKDIR', 'WORKDIR /w\nCOPY a.txt here\nRUN cat /w/here', 'A'],
    ['into WORKDIR itself', 'WORKDIR /w/v\nCOPY a.txt .\nRUN cat /w/v/a.txt', 'A'],
    ['an archive by ADD', 'ADD pack.tgz /x\nRUN cat /x/in/tar; stat -c :%u /x/in/tar', 'T:1000\n'],
    ['an archive by COPY', 'COPY pack.tgz /x/\nRUN ls /x', 'pack.tgz\n'],
    ['names with variables', 'ARG n=a\nENV d=/x\nCOPY ${n}.txt $d/\nRUN cat /x/a.txt', 'A'],
  ])('%s', async (_name, instructions, want) => {
    const shown = await printed(`FROM busybox\n${instructions}`, files);
    expect(shown).toBe(want);
  });

  test('the Dockerfile and what is ignored are not in the context, folders with kept files are', async () => {
    const answer = await printed('FROM busybox\nCOPY . /x\nRUN find /x -type f | sort', {
      '.dockerignore': 'Dockerfile\n.dockerignore\nlogs\n!logs/keep',
      'logs/a': '',
      'logs/keep': '',
      z: '',
    });
    expect(answer).toBe('/x/logs/keep\n/x/z\n');
  });

  test('from another stage, by number, and from an image, with wildcards', async () => {
    cluster.registry.createImage(baseImage(cluster.registry, { tag: 'tools:1', files: { 'opt/tool': 'tool\n' } }));
    const shown = await printed(
      'FROM busybox AS Build\nRUN mkdir /out && echo x >/out/a.bin && echo y >/out/b.bin\nFROM busybox\nRUN echo z >/n\nFROM busybox\nCOPY --from=build /out/*.bin /bin/\nCOPY --from=1 n /n\nCOPY --from=tools:1 /opt /opt\nRUN cat /bin/a.bin /bin/b.bin /n /opt/tool',
    );
    expect(shown).toBe('x\ny\nz\ntool\n');
  });
});

describe('what a RUN sees', () => {
  test.each<[string, string, string]>([
    ['ENV and declared ARGs', 'ARG a=1\nARG b\nENV c=3 a2=$a\nRUN echo $a-$b-$c-$a2-$undeclared', '1-given-3-1-\n'],
    ['ENV over ARG', 'ARG b\nENV b=env\nRUN echo $b', 'env\n'],
    ['ARG before FROM once declared again', 'ARG top\nRUN echo $top', 'T\n'],
    ['its directory', 'WORKDIR /a\nWORKDIR b\nRUN pwd', '/a/b\n'],
    ['its user', 'USER 12:34\nRUN id -u; id -g', '12\n34\n'],
    ['its shell', 'SHELL ["/bin/sh", "-ec"]\nRUN echo "$-" | grep -c e || true', ''],
    ['exec form as it is', 'RUN ["echo", "$HOME", "a  b"]', '$HOME a  b\n'],
    ['a default PATH', 'RUN echo $PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n'],
  ])('%s', async (name, instructions, want) => {
    const shown = await printed(
      `ARG top=T\nFROM busybox\n${instructions}`,
      {},
      { buildArgs: { b: 'given', undeclared: 'x' } },
    );
    if (name !== 'its shell') expect(shown).toBe(want);
    else expect(shown).not.toBe('');
  });
});

describe('the image', () => {
  test('has a complete config', async () => {
    const dockerfile = `FROM busybox
ARG who=me
ENV a=1
LABEL l=v
WORKDIR /w
USER 5
EXPOSE 80
VOLUME /v
STOPSIGNAL SIGINT
HEALTHCHECK --retries=2 CMD true
SHELL ["/bin/sh", "-ec"]
RUN echo hi >/tmp/f
COPY f /dst/
ENTRYPOINT ["/e"]
CMD c d
ONBUILD RUN later`;
    const { id, failure } = await build(
      dockerfile,
      { f: 'x' },
      { tags: ['complete'], labels: { opt: "it's $x" }, buildArgs: { who: 'you' } },
    );
    expect(failure).toBeUndefined();
    const config = cluster.config('complete');
    expect(config.config).toEqual({
      Cmd: ['/bin/sh', '-ec', 'c d'],
      Entrypoint: ['/e'],
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'a=1'],
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['CMD-SHELL', 'true'], Retries: 2 },
      Labels: { l: 'v', opt: "it's $x" },
      OnBuild: ['RUN later'],
      Shell: ['/bin/sh', '-ec'],
      StopSignal: 'SIGINT',
      User: '5',
      Volumes: { '/v': {} },
      WorkingDir: '/w',
    });
    expect(config).toMatchObject({ architecture: 'amd64', os: 'linux' });
    const by = (config.history as { created_by: string; empty_layer?: boolean }[]).map(
      ({ created_by, empty_layer }) => `${empty_layer ? '-' : '+'} ${created_by}`,
    );
    const sum = '[0-9a-f]{64}';
    expect(by[0]).toBe('+ ADD busybox');
    expect(by.slice(1, 5)).toEqual([
      '- /bin/sh -c #(nop)  ARG who=me',
      '- /bin/sh -c #(nop)  ENV a=1',
      '- /bin/sh -c #(nop)  LABEL l=v',
      '+ /bin/sh -c #(nop) WORKDIR /w',
    ]);
    expect(by[11]).toBe('+ |1 who=you /bin/sh -ec echo hi >/tmp/f');
    expect(by[12]).toMatch(new RegExp(`^\\+ /bin/sh -ec #\\(nop\\) COPY file:${sum} in /dst/ $`));
    expect(by.slice(13)).toEqual([
      '- /bin/sh -ec #(nop)  ENTRYPOINT ["/e"]',
      '- /bin/sh -ec #(nop)  CMD ["/bin/sh" "-ec" "c d"]',
      '- /bin/sh -ec #(nop)  ONBUILD RUN later',
      "- /bin/sh -ec #(nop)  LABEL opt=it's $x",
    ]);
    const image = cluster.registry.find(id);
    expect((config['rootfs'] as { diff_ids: string[] }).diff_ids).toEqual(image.layers.map(({ diffId }) => diffId));
    expect(by.filter((line) => line.startsWith('+'))).toHaveLength(image.layers.length);
    expect(image.parent).toBe(cluster.registry.find('busybox').id);
  });

  test('of FROM alone is the base itself, tagged', async () => {
    const { id, failure } = await build('FROM busybox', {}, { tags: ['alias'] });
    expect(failure).toBeUndefined();
    expect(id).toBe(cluster.registry.find('busybox').id);
    expect(cluster.registry.find('alias').id).toBe(id);
  });

  test('from scratch holds only what was copied', async () => {
    const { id } = await build('FROM scratch\nCOPY f /\nCMD ["/f"]', { f: 'x' });
    expect(cluster.registry.find(id).layers).toHaveLength(1);
    expect(cluster.registry.find(id).parent).toBe('');
  });

  test('metadata costs no call to a host', async () => {
    const before = calls();
    await build(
      'FROM busybox\nENV a=1\nLABEL b=2\nEXPOSE 1\nUSER x\nCMD y\nENTRYPOINT z\nVOLUME /v',
      {},
      { noCache: true },
    );
    expect(calls()).toBe(before);
  });

  test('triggers of the base run and do not stay', async () => {
    await build('FROM busybox\nONBUILD COPY f /f\nONBUILD RUN cat /f', {}, { tags: ['trigger'] });
    const { text, id } = await build('FROM trigger\nRUN true', { f: 'triggered\n' });
    expect(text).toContain('# Executing 2 build triggers\n');
    expect(text).toContain('triggered\n');
    expect(cluster.config(id).config['OnBuild']).toBeUndefined();
  });

  test('triggers may read a stage that nothing else needs, even with one slot', async () => {
    const small = await TestCluster.start(pki.identity, { hosts: 1, stages: 1 });
    small.registry.createImage(
      baseImage(small.registry, { tag: 'busybox', config: { OnBuild: ['COPY --from=extra /x /x', 'RUN cat /x'] } }),
    );
    small.registry.createImage(baseImage(small.registry, { tag: 'plain' }));
    const dockerfile = 'FROM plain AS extra\nARG only\nRUN echo from-extra >/x\nFROM busybox\nCMD x';
    const { text, failure } = await small.build(tarOf({ Dockerfile: dockerfile }), { buildArgs: { only: '1' } });
    await small.stop();
    expect(failure).toBeUndefined();
    expect(text).toContain('from-extra\n');
    expect(text).not.toContain('not consumed');
  });

  test('is the same bit for bit with a source date, on whatever host', async () => {
    const dockerfile = 'FROM busybox\nRUN echo x >/made\nCOPY f /f\nWORKDIR /w';
    const options = { noCache: true, buildArgs: { SOURCE_DATE_EPOCH: '1700000000' } };
    const one = await build(dockerfile, { f: { content: 'x', mtime: 1_800_000_000 } }, options);
    cluster.agents.reverse();
    const two = await build(dockerfile, { f: { content: 'x', mtime: 1_900_000_000 } }, options);
    cluster.agents.reverse();
    expect(two.failure).toBeUndefined();
    expect(two.id).toBe(one.id);
    expect(one.text).not.toContain('not consumed');
    expect(cluster.config(one.id)['created']).toBe('2023-11-14T22:13:20.000Z');
  });
});

describe('the cache', () => {
  const dockerfile = 'FROM busybox\nRUN echo first\nCOPY f /f\nRUN echo last';

  test('ends at the step whose input changed', async () => {
    await build(dockerfile, { f: 'one' });
    const changed = await build(dockerfile, { f: 'two' });
    expect(cachedSteps(changed.text)).toBe(1);
    expect(cachedSteps((await build(dockerfile, { f: { content: 'two', mtime: 77 } })).text)).toBe(3);
  });

  test('is not asked with --no-cache', async () => {
    await build(dockerfile, { f: 'one' });
    expect(cachedSteps((await build(dockerfile, { f: 'one' }, { noCache: true })).text)).toBe(0);
  });

  test('knows build args only where they are declared', async () => {
    const withArg = 'FROM busybox\nRUN echo before\nARG v\nRUN echo after';
    await build(withArg, {}, { buildArgs: { v: '1' } });
    expect(cachedSteps((await build(withArg, {}, { buildArgs: { v: '2' } })).text)).toBe(2);
    expect(cachedSteps((await build(withArg, {}, { buildArgs: { v: '1' } })).text)).toBe(3);
  });

  test('needs the layer to exist still', async () => {
    const text = 'FROM busybox\nRUN echo precious >/p';
    const { id } = await build(text);
    cluster.registry.blobs.delete(cluster.registry.find(id).layers.at(-1)?.digest ?? '');
    const again = await build(text);
    expect(cachedSteps(again.text)).toBe(0);
    expect(again.failure).toBeUndefined();
  });

  test('a COPY from a stage is cached without asking a host, and by content when the stage ran anew', async () => {
    const staged = (stamp: string): string =>
      `FROM busybox AS b\nENV stamp=${stamp}\nRUN echo same >/out\nFROM busybox\nCOPY --from=b /out /out`;
    const first = await build(staged('1'));
    const before = calls();
    expect((await build(staged('1'))).id).toBe(first.id);
    expect(calls()).toBe(before);
    const second = await build(staged('2'));
    expect(cachedSteps(second.text)).toBe(1);
  });

  test('is forgotten by a prune and learnt again from the images made here', async () => {
    const text = 'FROM busybox\nENV learn=1\nRUN echo learn >/l\nCMD x';
    const first = await build(text);
    await cluster.pruneCache();
    const second = await build(text);
    expect(cachedSteps(second.text)).toBe(3);
    expect(second.id).toBe(first.id);
  });
});

describe('--cache-from', () => {
  test('takes the steps of a named image for this build only', async () => {
    const text = 'FROM busybox\nENV from=cache\nRUN echo cache-from >/c';
    const first = await build(text);
    const made = cluster.registry.find(first.id);
    const foreign = JSON.parse(made.config.toString()) as { history: { comment?: string }[] };
    for (const entry of foreign.history) delete entry.comment;
    cluster.registry.createImage({
      config: Buffer.from(JSON.stringify(foreign)),
      layers: made.layers,
      tags: ['pulled:1'],
      parent: '',
    });
    cluster.registry.images.delete(first.id);
    await cluster.pruneCache();
    expect(cachedSteps((await build(text)).text)).toBe(0);
    await cluster.pruneCache();
    cluster.registry.images.delete((await build(text)).id);
    await cluster.pruneCache();
    expect(cachedSteps((await build(text, {}, { cacheFrom: ['pulled:1', 'nope'] })).text)).toBe(2);
    await cluster.pruneCache();
    expect(cachedSteps((await build(text)).text)).toBe(0);
  });
});

describe('stages on several hosts', () => {
  test('independent ones run at the same time on different hosts, their output in order', async () => {
    const arrived: string[] = [];
    let open = (): void => undefined;
    const both = new Promise<void>((resolve) => {
      open = resolve;
    });
    for (const agent of cluster.agents) {
      agent.beforeRun = async (argv) => {
        if (!argv.join(' ').includes('meet')) return;
        arrived.push(agent.id);
        if (arrived.length === 2) open();
        await both;
      };
    }
    const { text, failure } = await build(
      'FROM busybox AS a\nRUN echo meet-a >/a\nFROM busybox AS b\nRUN echo meet-b >/b\nFROM busybox AS unused\nRUN false\nFROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\nRUN cat /a /b',
      {},
      { noCache: true },
    );
    for (const agent of cluster.agents) agent.beforeRun = async () => undefined;
    expect(failure).toBeUndefined();
    expect(new Set(arrived).size).toBe(2);
    expect(text).toContain('meet-a\nmeet-b\n');
    expect([...text.matchAll(/^Step (\d+)\/8/gm)].map((match) => Number(match[1]))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(text).not.toContain('RUN false');
  });

  test('a step moves to another host when its own goes away', async () => {
    const small = await TestCluster.start(pki.identity, { hosts: 2 });
    small.registry.createImage(baseImage(small.registry, { tag: 'busybox' }));
    const [first, second] = small.agents;
    if (first) first.beforeRun = async () => void first.stop();
    const { text, failure } = await small.build(tarOf({ Dockerfile: 'FROM busybox\nRUN echo moved' }));
    await small.stop();
    expect(failure).toBeUndefined();
    expect(text).toContain('host n1 went away during the step; it runs again on n2');
    expect(text).toContain('moved\n');
    expect(second?.calls).toContain('runStep');
  });

  test('one failing stage ends the others', async () => {
    const { failure } = await build(
      'FROM busybox AS a\nRUN sleep 1000\nFROM busybox AS b\nRUN echo why; exit 3\nFROM busybox\nCOPY --from=a /x /\nCOPY --from=b /x /',
      {},
      { noCache: true },
    );
    expect(failure?.code).toBe(3);
    // The other stage would sleep for longer than any test may take.
    while (cluster.agents.some(({ running }) => running > 0)) await once(AbortSignal.timeout(20), 'abort');
  });
});

describe('images that are not there', () => {
  test('are pulled, with the progress shown', async () => {
    const offer = baseImage(cluster.registry, { tag: 'far/away:1' });
    cluster.registry.upstream.set('docker.io/far/away:1', offer);
    const { progress, failure } = await build('FROM far/away:1\nENV x=1');
    expect(failure).toBeUndefined();
    expect(progress.map(({ status }) => status)).toEqual(['Pulling from far/away:1']);
    expect((await build('FROM far/away:1\nENV x=1')).progress).toEqual([]);
    expect((await build('FROM far/away:1\nENV x=1', {}, { pull: true })).progress).toHaveLength(1);
  });
});

describe('a client that goes away', () => {
  test('ends its build everywhere and leaves nothing', async () => {
    const abort = new AbortController();
    const run = cluster.build(
      tarOf({ Dockerfile: 'FROM busybox\nRUN echo started; sleep 1000' }),
      { noCache: true },
      abort.signal,
    );
    const started = new Promise<void>((resolve) => {
      for (const agent of cluster.agents) agent.beforeRun = async () => resolve();
    });
    await started;
    abort.abort();
    await expect(run).rejects.toThrow();
    while (cluster.agents.some(({ running }) => running > 0)) await once(AbortSignal.timeout(20), 'abort');
    for (const agent of cluster.agents) agent.beforeRun = async () => undefined;
    while (readdirSync(cluster.spool).length > 0) await once(AbortSignal.timeout(20), 'abort');
  });
});

test('a client that goes away while it sends its context frees its turn', async () => {
  const small = await TestCluster.start(pki.identity, { hosts: 1, builds: 1 });
  small.registry.createImage(baseImage(small.registry, { tag: 'busybox' }));
  const abort = new AbortController();
  const context = tarOf({ Dockerfile: 'FROM busybox', large: Buffer.alloc(100_000) });
  let sent = (): void => undefined;
  const half = new Promise<void>((resolve) => {
    sent = resolve;
  });
  const stuck = small.send(async function* () {
    yield { message: { $case: 'options', value: buildV1.BuildOptions.fromPartial({}) } };
    yield { message: { $case: 'context', value: context.subarray(0, 50_000) } };
    sent();
    await once(abort.signal, 'abort');
  }, abort.signal);
  await half;
  const next = small.build(context, { tags: ['next'] });
  abort.abort();
  await expect(stuck).rejects.toThrow();
  expect((await next).failure).toBeUndefined();
  await small.stop();
});

test('too many builds at once are told so', async () => {
  const small = await TestCluster.start(pki.identity, { hosts: 1, builds: 1 });
  small.registry.createImage(baseImage(small.registry, { tag: 'busybox' }));
  const abort = new AbortController();
  const running = new Promise<void>((resolve) => {
    for (const agent of small.agents) agent.beforeRun = async () => resolve();
  });
  const context = tarOf({ Dockerfile: 'FROM busybox\nRUN sleep 1000' });
  const first = small.build(context, {}, abort.signal).catch(asAtollError);
  await running;
  const more = [1, 2, 3].map(() => small.build(context, {}, abort.signal).catch(asAtollError));
  const refused = await Promise.race(more);
  expect(refused).toMatchObject({ reason: 'resource-exhausted' });
  abort.abort();
  await Promise.all([first, ...more]);
  await small.stop();
});
