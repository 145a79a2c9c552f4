import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROGRAMS, Project } from './lib/compose-project.ts';
import { docker, dockerHost, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';

const ROOT = join(import.meta.dirname, '..');

describe('the example of deploy/examples/web', { timeout: 240_000 }, () => {
  test('comes up over the hosts, answers by name, keeps its data, goes', async () => {
    await using project = new Project(PROGRAMS['compose 2'], join(ROOT, 'deploy/examples/web/compose.yaml'));
    await project.ok('build', '-q');
    await project.ok('up', '-d');
    try {
      const visit = () => project.ok('run', '--rm', 'visitor');
      expect(await visit()).toMatch(/Hello from compose\nvisit 1, served by [0-9a-f]{12}\n/);
      expect(await visit()).toContain('visit 2,');
      expect((await project.hosts()).size).toBeGreaterThan(1);
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

describe('the example of deploy/examples/shop', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    const base = `tar --numeric-owner --owner=0 --group=0 -C ${ROOT}/.tools/shop -c . | docker import - atoll-demo/debian`;
    const { code, stderr } = await run('sh', ['-c', base], { env: { DOCKER_HOST: dockerHost() }, timeoutMs: 60_000 });
    if (code !== 0) throw new Error(stderr);
  });
  afterAll(() => docker(['rmi', '-f', 'atoll-demo/debian']));

  test('sells from every host, and forgets no order when its database is killed or made anew', async () => {
    await using project = new Project(PROGRAMS['compose 2'], join(ROOT, 'deploy/examples/shop/compose.yaml'), {
      DB_PASSWORD: unique('password'),
    });
    try {
      await project.ok('up', '-d', '--build', '--wait');
      const sold = (nth: number) => new RegExp(`^visitor ${nth}, order ${nth}, served by [0-9a-f]{12}\n$`);
      const order = (index: string) =>
        project.ok('exec', '-T', '--index', index, 'app', 'wget', '-qO-', 'http://127.0.0.1:8080/cgi-bin/order?tea');
      expect(await order('1')).toMatch(sold(1));
      expect(await order('2')).toMatch(sold(2));
      expect(await order('3')).toMatch(sold(3));
      const { port } = new URL(`http://${(await project.ok('port', 'app', '8080')).trim()}`);
      const answer = await fetch(`http://127.0.0.1:${port}/cgi-bin/order?coffee`);
      expect(await answer.text()).toMatch(sold(4));
      const hosts = await project.hosts();
      expect(hosts.size).toBe(3);
      await project.ok('kill', '-s', 'KILL', 'db', 'cache');
      await project.ok('up', '-d', '--wait');
      expect(await order('1')).toMatch(sold(5));
      await project.ok('down', '-t', '10');
      await project.ok('up', '-d', '--wait');
      expect(await order('2')).toMatch(sold(6));
      await project.ok('down', '-v', '-t', '1');
      expect(await project.objects()).toEqual([]);
    } finally {
      await project.run('down', '-v', '-t', '1');
      await docker(['rmi', '-f', ...['app', 'cache', 'db'].map((name) => `${project.name}-${name}`)]);
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

  test('a service with a host port is made anew, while the one before it is there', async () => {
    const file = join(folder, 'port.yaml');
    const write = (word: string): Promise<void> =>
      writeFile(
        file,
        JSON.stringify({
          version: '3.7',
          services: {
            web: {
              image: 'busybox',
              command: ['nc', '-ll', '-p', '80', '-e', 'echo', word],
              ports: ['18290:80'],
              stop_grace_period: '0s',
            },
          },
        }),
      );
    await using project = new Project(program, file);
    const answer = async (): Promise<string> =>
      (await run('busybox', ['nc', '-w', '2', '127.0.0.1', '18290'])).stdout.trim();
    for (const word of ['first', 'second', 'third']) {
      await write(word);
      await project.ok('up', '-d');
      await expect.poll(answer, { timeout: 10_000 }).toBe(word);
    }
  }, 240_000);
});
