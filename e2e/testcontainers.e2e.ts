import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerComposeEnvironment, GenericContainer, Network, PullPolicy, Wait } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { docker, dockerOk, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';
import { testcontainersEnvironment, useTestcontainers } from './lib/testcontainers.ts';
import { until } from './lib/until.ts';

const ROOT = join(import.meta.dirname, '..');
const COMPOSE = join(ROOT, '.tools/compose/usr/libexec/docker/cli-plugins/docker-compose');
const FILES_AT_ONCE = 20;
let folder: string;

beforeAll(async () => {
  await useTestcontainers();
  folder = await mkdtemp(join(tmpdir(), 'atoll-e2e-testcontainers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const web = (text: string): GenericContainer =>
  new GenericContainer('busybox')
    .withCommand(['sh', '-c', `echo ${text} >/www/index.html; echo serving; httpd -f -p 80 -h /www`])
    .withExposedPorts(80);

describe('a test run in a container', () => {
  test.each([0, 1, 2])('on host %i reaches its servers by the gateway of its own host', async (number) => {
    const host = inject('hosts')[number] ?? '';
    // The image has no libraries of its own: node and what it needs are the host's, which is this machine.
    const binds = ['/lib', '/lib64', '/usr', ROOT].flatMap((path) => ['-v', `${path}:${path}:ro`]);
    const { DOCKER_HOST: _, ...variables } = testcontainersEnvironment();
    const own = { ...variables, TESTCONTAINERS_RYUK_TEST_LABEL: 'true' };
    const options = [
      ...binds,
      ...['-v', '/var/run/docker.sock:/var/run/docker.sock', '-l', `atoll.constraints=node.hostname==${host}`],
      ...Object.entries(own).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
    ];
    const script = join(ROOT, 'e2e/testcontainers/inside.ts');
    const output = await dockerOk(['run', '--rm', ...options, 'busybox', process.execPath, script]);
    const gateway = await dockerOk([
      ...['run', '--rm', '-l', `atoll.constraints=node.hostname==${host}`, 'busybox'],
      ...['sh', '-c', "ip route | awk '/default/ { print $3 }'"],
    ]);
    expect(JSON.parse(output)).toEqual([gateway, 'from within']);
  });
});

describe('a container', () => {
  test.each([
    ['a log message', () => web('x').withWaitStrategy(Wait.forLogMessage(/serv.ng/))],
    ['its ports', () => web('x').withWaitStrategy(Wait.forListeningPorts())],
    ['an answer by HTTP', () => web('x').withWaitStrategy(Wait.forHttp('/', 80).forStatusCode(200))],
    ['a command in it', () => web('x').withWaitStrategy(Wait.forSuccessfulCommand('wget -q -O- http://127.0.0.1/'))],
    [
      'its health',
      () =>
        web('x')
          .withHealthCheck({
            test: ['CMD-SHELL', 'wget -q -O- http://127.0.0.1/'],
            interval: 500,
            timeout: 5_000,
            retries: 20,
          })
          .withWaitStrategy(Wait.forHealthCheck()),
    ],
    [
      'several of these',
      () => web('x').withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forLogMessage('serving')])),
    ],
  ])('is waited for by %s', async (_name, define) => {
    const container = await define().start();
    try {
      const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/`);
      expect((await answer.text()).trim()).toBe('x');
    } finally {
      await container.stop();
    }
  });

  test('that ends is waited for, and its output is there', async () => {
    const container = await new GenericContainer('busybox')
      .withCommand(['echo', 'done'])
      .withWaitStrategy(Wait.forOneShotStartup())
      .start();
    try {
      expect((await (await container.logs()).toArray()).join('')).toContain('done');
    } finally {
      await container.stop();
    }
  });

  test('has files, folders, volumes, tmpfs, variables and a user as asked', async () => {
    const volume = unique('volume');
    await mkdir(join(folder, 'copied/deep'), { recursive: true });
    await writeFile(join(folder, 'copied/deep/file'), 'of a folder');
    await writeFile(join(folder, 'one'), 'of a file');
    const container = await new GenericContainer('busybox')
      .withCopyFilesToContainer([{ source: join(folder, 'one'), target: '/in/one', mode: 0o640 }])
      .withCopyDirectoriesToContainer([{ source: join(folder, 'copied'), target: '/in/copied' }])
      .withBindMounts([{ source: volume, target: '/data' }])
      .withTmpFs({ '/scratch': 'rw,size=1m' })
      .withEnvironment({ NAME: 'value' })
      .withWorkingDir('/in')
      .withCommand(['sh', '-c', 'echo ready; sleep 600'])
      .withWaitStrategy(Wait.forLogMessage('ready'))
      .start();
    try {
      const script =
        'cat /in/one; echo; stat -c %a /in/one; cat /in/copied/deep/file; echo; echo $NAME; pwd; grep -c " /data \\| /scratch " /proc/mounts';
      const { output } = await container.exec(['sh', '-c', script]);
      expect(output.trim().split('\n')).toEqual(['of a file', '640', 'of a folder', 'value', '/in', '2']);
      const other = await container.exec(['sh', '-c', 'id -u; echo $X; echo wrong >&2; exit 3'], {
        user: '33',
        env: { X: 'y' },
      });
      expect(other).toMatchObject({ exitCode: 3, stdout: '33\ny\n', stderr: 'wrong\n' });
      await container.restart();
      expect((await container.exec(['cat', '/in/one'])).output).toBe('of a file');
      let archive = '';
      for await (const part of await container.copyArchiveFromContainer('/in/one')) archive += part.toString();
      expect(archive).toContain('of a file');
    } finally {
      await container.stop();
      await docker(['volume', 'rm', '-f', volume]);
    }
  });

  test('finds another by its alias, on whatever host', async () => {
    const network = await new Network().start();
    const server = await web('by name').withNetwork(network).withNetworkAliases('first', 'second').start();
    const clients = await Promise.all(
      inject('hosts').map((host) =>
        new GenericContainer('busybox')
          .withNetwork(network)
          .withLabels({ 'atoll.constraints': `node.hostname==${host}` })
          .withCommand(['sleep', '600'])
          .start(),
      ),
    );
    try {
      for (const client of clients) {
        expect((await client.exec(['wget', '-q', '-O-', 'http://second/'])).output.trim()).toBe('by name');
      }
      expect(server.getNetworkNames()).toContain(network.getName());
    } finally {
      await Promise.all([server, ...clients].map((container) => container.stop()));
      await network.stop();
    }
  });

  test('is made of a Dockerfile', async () => {
    const context = join(folder, 'context');
    await mkdir(context);
    await writeFile(
      join(context, 'Dockerfile'),
      'FROM busybox\nARG WHAT\nRUN echo $WHAT >/what\nCOPY file /file\nCMD ["sh", "-c", "cat /what /file; sleep 600"]\n',
    );
    await writeFile(join(context, 'file'), 'copied\n');
    const image = await GenericContainer.fromDockerfile(context).withBuildArgs({ WHAT: 'argued' }).build();
    const container = await image.withWaitStrategy(Wait.forLogMessage('copied')).start();
    try {
      expect((await container.exec(['cat', '/what'])).output).toBe('argued\n');
    } finally {
      await container.stop();
    }
  });

  test('is used again, when asked for, by other processes too', async () => {
    const define = () =>
      new GenericContainer('busybox').withLabels({ unique: folder }).withCommand(['sleep', '600']).withReuse();
    const first = await define().start();
    try {
      expect((await define().start()).getId()).toBe(first.getId());
    } finally {
      await first.stop();
    }
  });
});

test('a compose file comes up, is waited for, and goes', async () => {
  const project = join(folder, 'project');
  await mkdir(join(project, 'app'), { recursive: true });
  await writeFile(join(project, 'app/Dockerfile'), 'FROM busybox\nCOPY index.html /www/\n');
  await writeFile(join(project, 'app/index.html'), 'composed\n');
  await writeFile(
    join(project, 'compose.yaml'),
    `services:
  web:
    build: app
    init: true
    command: sh -c 'echo serving; httpd -f -p 80 -h /www'
    ports: ["80"]
    volumes: ["data:/data"]
  client:
    image: busybox
    init: true
    command: sh -c 'until wget -q -O- http://web/; do sleep 0.2; done; echo got it; sleep 600'
    depends_on: [web]
volumes:
  data:
`,
  );
  const environment = await new DockerComposeEnvironment(project, 'compose.yaml')
    .withBuild()
    .withPullPolicy(PullPolicy.defaultPolicy())
    .withClientOptions({ executable: { executablePath: COMPOSE, standalone: true } })
    .withWaitStrategy('web-1', Wait.forLogMessage('serving'))
    .withWaitStrategy('client-1', Wait.forLogMessage('got it'))
    .up();
  const container = environment.getContainer('web-1');
  const name = container.getLabels()['com.docker.compose.project'] ?? '';
  const left = async (): Promise<string> => {
    const label = ['--filter', `label=com.docker.compose.project=${name}`];
    const lists = [
      ['ps', '-aq'],
      ['volume', 'ls', '-q'],
      ['network', 'ls', '-q'],
    ];
    return (await Promise.all(lists.map((list) => dockerOk([...list, ...label])))).join('');
  };
  try {
    const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/`);
    expect(await answer.text()).toBe('composed\n');
    expect(await left()).not.toBe('');
  } finally {
    await environment.down();
  }
  expect(await left()).toBe('');
});

const ofSession = async (session: string): Promise<string> => {
  const label = ['--filter', `label=org.testcontainers.session-id=${session}`];
  const lists = [
    ['ps', '-aq'],
    ['network', 'ls', '-q'],
    ['volume', 'ls', '-q'],
    ['images', '-q'],
  ];
  return (await Promise.all(lists.map((list) => dockerOk([...list, ...label])))).filter(Boolean).join('\n');
};

describe('the reaper', () => {
  test('removes what a killed process had, on all hosts', async () => {
    const context = join(folder, 'killed');
    await mkdir(context);
    await writeFile(join(context, 'Dockerfile'), `FROM busybox\nLABEL of=${unique('killed')}\n`);
    const script = join(import.meta.dirname, 'testcontainers/killed-process.ts');
    const child = spawn(process.execPath, [script, context], {
      env: { ...process.env, ...testcontainersEnvironment() },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    try {
      await until('its containers', async () => text.includes('\n') || child.exitCode !== null, 90_000);
      const { session, containers } = JSON.parse(text) as { session: string; containers: string[] };
      const hosts = await dockerOk(['inspect', '-f', '{{.Node.Name}}', ...containers]);
      expect(new Set(hosts.split('\n'))).toEqual(new Set(inject('hosts')));
      const before = (await ofSession(session)).split('\n');
      // Six containers and the reaper, a network, a volume, an image.
      expect(before.length).toBeGreaterThanOrEqual(10);
      child.kill('SIGKILL');
      await ended;
      await until('nothing of it to be left', async () => (await ofSession(session)) === '', 60_000);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

test(`${FILES_AT_ONCE} test files at once are spread over the hosts, and nothing of them stays`, {
  timeout: 300_000,
}, async () => {
  const suite = join(folder, 'suite');
  const results = join(suite, 'results');
  await mkdir(results, { recursive: true });
  const module = JSON.stringify(join(import.meta.dirname, 'testcontainers/parallel-suite.ts'));
  for (let number = 0; number < FILES_AT_ONCE; number++) {
    const text = `import { parallelSuite } from ${module};\nparallelSuite(${number}, ${JSON.stringify(results)});\n`;
    await writeFile(join(suite, `${number}.test.ts`), text);
  }
  const settings = { pool: 'threads', maxWorkers: FILES_AT_ONCE, testTimeout: 200_000, hookTimeout: 200_000 };
  await writeFile(
    join(suite, 'vitest.config.mjs'),
    `export default ${JSON.stringify({ root: suite, test: { ...settings, include: ['*.test.ts'] } })};\n`,
  );
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const env = { ...testcontainersEnvironment(), VITEST: '', VITEST_POOL_ID: '', VITEST_WORKER_ID: '' };
  const outcome = await run(process.execPath, [vitest, 'run', '--config', join(suite, 'vitest.config.mjs')], {
    cwd: suite,
    env,
    timeoutMs: 280_000,
  });
  expect(outcome.code, outcome.stdout + outcome.stderr).toBe(0);
  const files = await readdir(results);
  expect(files).toHaveLength(FILES_AT_ONCE);
  const all = await Promise.all(
    files.map(
      async (file) => JSON.parse(await readFile(join(results, file), 'utf8')) as { objects: string[]; hosts: string[] },
    ),
  );
  const counts = inject('hosts').map((host) => all.flatMap(({ hosts }) => hosts).filter((one) => one === host).length);
  for (const count of counts) expect(count).toBeGreaterThanOrEqual(FILES_AT_ONCE / 5);
  await until(
    'the reaper to remove what the files left',
    async () => {
      const lists = [
        ['ps', '-aq', '--no-trunc'],
        ['network', 'ls', '-q', '--no-trunc'],
      ];
      const there = (await Promise.all(lists.map((list) => dockerOk(list)))).join('\n').split('\n');
      return !all.some(({ objects }) => objects.some((id) => there.includes(id)));
    },
    60_000,
  );
});
