import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { docker, dockerHost, dockerOk, unique } from './lib/docker.ts';
import { type RunResult, run } from './lib/run.ts';

const ROOT = join(import.meta.dirname, '..');
const PROGRAMS = {
  /** Debian 12's. */
  'compose 1.29': 'docker-compose',
  /** Unpacked by `./atoll test`. */
  'compose 2': join(ROOT, '.tools/compose/usr/libexec/docker/cli-plugins/docker-compose'),
};

/** A compose file on the cluster, taken down with its volumes at the end of the scope. */
class Project implements AsyncDisposable {
  readonly name = unique('e2e').replace('-', '');
  readonly #program: string;
  readonly #file: string;

  constructor(program: string, file: string) {
    this.#program = program;
    this.#file = file;
  }

  run(...args: string[]): Promise<RunResult> {
    const env = { DOCKER_HOST: dockerHost(), DOCKER_BUILDKIT: '0', COMPOSE_ANSI: 'never' };
    return run(this.#program, ['-f', this.#file, '-p', this.name, ...args], { env, timeoutMs: 120_000 });
  }

  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`compose ${args.join(' ')}: code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** What of the project the cluster has. */
  async objects(): Promise<string[]> {
    const label = `label=com.docker.compose.project=${this.name}`;
    const lists = [
      ['ps', '-aq'],
      ['network', 'ls', '-q'],
      ['volume', 'ls', '-q'],
    ];
    const found = await Promise.all(lists.map((list) => dockerOk([...list, '--filter', label])));
    return found.join('\n').split('\n').filter(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run('down', '-v', '-t', '1');
  }
}

describe('the example of deploy/examples/web', { timeout: 240_000 }, () => {
  test('comes up over the hosts, answers by name, keeps its data, goes', async () => {
    await using project = new Project(PROGRAMS['compose 2'], join(ROOT, 'deploy/examples/web/compose.yaml'));
    await project.ok('build', '-q');
    await project.ok('up', '-d');
    try {
      const visit = () => project.ok('run', '--rm', 'visitor');
      expect(await visit()).toMatch(/Hello from compose\nvisit 1, served by [0-9a-f]{12}\n/);
      expect(await visit()).toContain('visit 2,');
      const hosts = await dockerOk([
        ...[
          'ps',
          '--filter',
          `label=com.docker.compose.project=${project.name}`,
          '--format',
          '{{.Label "atoll.node"}}',
        ],
      ]);
      expect(new Set(hosts.split('\n')).size).toBeGreaterThan(1);
      await project.ok('restart', '-t', '1', 'store');
      expect(await visit()).toContain('visit 3,');
      await project.ok('up', '-d', '--scale', 'web=4', '--no-recreate');
      expect((await project.ok('ps', '-q', 'web')).trim().split('\n')).toHaveLength(4);
      await project.ok('down', '-t', '1');
      await project.ok('up', '-d');
      expect(await visit()).toContain('visit 4,');
      await project.ok('down', '-v', '-t', '1');
      expect(await project.objects()).toEqual([]);
    } finally {
      await project.run('down', '-v', '-t', '1');
      await docker(['rmi', '-f', `${project.name}-web`, `${project.name}-store`]);
    }
  });
});

describe.each(Object.entries(PROGRAMS))('%s', (_version, program) => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atoll-compose-'));
    await writeFile(
      join(folder, 'compose.yaml'),
      JSON.stringify({
        version: '3.7',
        services: {
          db: {
            image: 'busybox',
            command: ['sh', '-c', 'mkdir -p /w; echo row >>/w/rows; exec httpd -f -p 80 -h /w'],
            volumes: ['rows:/w'],
            networks: { default: { aliases: ['database'] } },
          },
          app: {
            image: 'busybox',
            depends_on: ['db'],
            command: ['sh', '-c', 'until wget -qO- http://database/rows; do sleep 0.1; done; exec sleep 600'],
          },
        },
        volumes: { rows: {} },
      }),
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('up, logs, exec, scale, restart, down -v', async () => {
    await using project = new Project(program, join(folder, 'compose.yaml'));
    await project.ok('up', '-d');
    await expect.poll(() => project.ok('logs', '--no-color', 'app')).toMatch(/app.*\| row/);
    expect(await project.ok('exec', '-T', 'app', 'wget', '-qO-', 'http://db/rows')).toBe('row\n');
    await project.ok('up', '-d', '--scale', 'app=3');
    expect((await project.ok('ps', '-q', 'app')).trim().split('\n')).toHaveLength(3);
    await project.ok('restart', '-t', '1', 'db');
    await expect
      .poll(async () => (await project.run('exec', '-T', 'app', 'wget', '-qO-', 'http://database/rows')).stdout)
      .toBe('row\nrow\n');
    await project.ok('down', '-v', '-t', '1');
    expect(await project.objects()).toEqual([]);
  }, 240_000);
});
