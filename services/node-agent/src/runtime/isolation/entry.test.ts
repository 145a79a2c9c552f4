import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilitySets, DOCKER_CAPABILITIES } from '../capabilities.ts';
import { launchShim } from '../launch-shim.ts';
import { dockerSeccompProgram } from '../seccomp/docker-seccomp.ts';
import { buildProbe, shimKind } from '../testing/shim-binary.ts';
import { type PlanChanges, TestHost } from '../testing/test-host.ts';
import { USER_NAMESPACE_MODES } from '../testing/user-namespace-modes.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create(mode);
  });
  afterAll(async () => {
    const left = await host.leftovers();
    await host[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const DESCRIPTORS = Array.from({ length: 65 }, (_, fd) => `/proc/self/fd/${fd}`);

  /** What a spy inside gets of the processes of `count` execs before they are the container's program. */
  async function spiedOn(count: number, process: PlanChanges['process']): Promise<string> {
    let said = '';
    await host.whileRunning(['sleep', '600'], {}, async (container, plan) => {
      const spy = host.exec(plan, container, ['probe', 'spy', '/stop'], process);
      for (let round = 0; round < count; round++) await host.exec(plan, container, ['true']);
      // A folder: whoever makes a file has it open for a moment, which the spy would see.
      await host.exec(plan, container, ['mkdir', '/stop']);
      said = (await spy).stdout.trim();
    });
    return said;
  }

  describe('E02: a process that joins a container', { timeout: 120_000 }, () => {
    it('shows nothing of itself in 500 execs, and cannot be traced', async () => {
      expect(await spiedOn(500, {})).toBe('seen nothing');
    });
    it('control: a spy that may trace what is not dumpable sees it', async () => {
      const names = new Set([...DOCKER_CAPABILITIES, 'SYS_PTRACE' as const]);
      const process = { capabilities: capabilitySets(names), seccomp: dockerSeccompProgram(names) };
      // No capability of a user namespace reaches a program of the host, so there even this spy is blind.
      expect(await spiedOn(200, process)).toBe(mode === 'with' ? 'seen nothing' : 'seen outside');
    });
  });

  // With the sanitizers the shim is a dynamic program, which a root without their libraries cannot execute.
  describe.skipIf(shimKind() === 'asan')('E03: the program of the runtime', () => {
    it.each([
      ['as entry point', '/proc/self/exe', undefined],
      ['through a link', '/tool', 'link'],
      ['as interpreter of a script', '/tool', '#!/proc/self/exe'],
    ])('%s is executed from a read-only mount and never changed', async (_name, program, content) => {
      const before = await readFile(host.shim);
      const tool = join(host.layer, 'tool');
      if (content === 'link') await symlink('/proc/self/exe', tool);
      else if (content !== undefined) await writeFile(tool, content, { mode: 0o755 });
      try {
        // As process 1 it waits for the archive on its standard input.
        const argv = [program, ...(content?.startsWith('#!') ? [] : ['archive-put', '--root', '/', '/tmp'])];
        if (content?.startsWith('#!')) {
          expect((await host.run(argv)).exit.code).toBe(2);
        } else {
          await host.whileRunning(argv, { process: { stdin: 'open' } }, async (container, plan) => {
            const tried = ['w', 'rw'].map(
              (flags) => `probe open /proc/1/exe ${flags}; probe reopen /proc/1/exe ${flags}`,
            );
            const result = await host.exec(plan, container, ['sh', '-c', tried.join(';')]);
            // The program is not dumpable, so that its link cannot even be followed.
            expect(new Set(result.stdout.trim().split('\n'))).toEqual(new Set(['EACCES']));
          });
        }
      } finally {
        await rm(tool, { force: true });
      }
      expect(await readFile(host.shim)).toEqual(before);
    });

    it('control: a program of the container is only busy', async () => {
      await host.whileRunning(['busybox', 'sleep', '60'], {}, async (container, plan) => {
        const result = await host.exec(plan, container, ['probe', 'open', '/proc/1/exe', 'w']);
        expect(result.stdout.trim()).toBe('ETXTBSY');
      });
    });
  });

  describe('E04: descriptors of the host', () => {
    const refused = { details: { step: 'enter working directory' } };

    it('are not there: process 1 and an exec have 0, 1 and 2', async () => {
      expect((await host.run(['probe', 'fds'])).stdout.trim()).toBe('0 1 2');
      await host.whileRunning(['sleep', '60'], {}, async (container, plan) => {
        expect((await host.exec(plan, container, ['probe', 'fds'])).stdout.trim()).toBe('0 1 2');
      });
    });
    it('control: one that is passed on is seen', () => {
      const seen = execFileSync('sh', ['-c', `exec 7</; exec ${buildProbe()} fds`], { encoding: 'utf8' });
      expect(seen.split(' ')).toContain('7');
    });

    it.each(DESCRIPTORS)('%s is no working directory', async (cwd) => {
      await expect(host.run(['true'], { process: { cwd } })).rejects.toMatchObject(refused);
    });
    it('nor is any of them that of an exec', async () => {
      await host.whileRunning(['sleep', '60'], {}, async (container, plan) => {
        for (const cwd of DESCRIPTORS) {
          await expect(host.exec(plan, container, ['true'], { cwd })).rejects.toMatchObject(refused);
        }
      });
    });
    it.each([3, 5, 8, 12])('nor is descriptor %i through a link of the image', async (fd) => {
      await host.withLayer({ work: `/proc/self/fd/${fd}` }, async (plan) => {
        await expect(host.run(['true'], { ...plan, process: { cwd: '/work' } })).rejects.toMatchObject(refused);
      });
    });
  });

  describe('E08: the console', { timeout: 120_000 }, () => {
    const tty = { rows: 10, cols: 20 };

    it('is the terminal itself, whatever the image has at its names', async () => {
      const canary = join(host.folder, 'canary-console');
      await mkdir(canary);
      await host.withLayer(
        { 'dev/console': canary, 'dev/pts': canary, 'dev/ptmx': '/proc/sys/kernel/core_pattern' },
        async (plan) => {
          const script = 'stat -L -c %t:%T /dev/console $(tty); probe access /proc/sys/kernel/core_pattern';
          const lines = (await host.run(['sh', '-c', script], { ...plan, process: { tty } })).stdout
            .trim()
            .split('\r\n');
          expect(lines).toEqual(['88:0', '88:0', mode === 'with' ? 'EACCES' : 'EROFS']);
        },
      );
      expect(await readdir(canary)).toEqual([]);
    });

    it('of an exec is a terminal of the container while it swaps the names', async () => {
      const canary = join(host.folder, 'canary-ptmx');
      await writeFile(canary, 'untouched');
      const swap = `ln -s ${canary} /dev/other; ln -sf pts/ptmx /dev/ptmx; exec probe exchange /dev/ptmx /dev/other`;
      await host.whileRunning(['sh', '-c', swap], {}, async (container, plan) => {
        for (let round = 0; round < 100; round++) {
          const result = await host.exec(plan, container, ['tty'], { tty });
          expect(result.stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/);
        }
      });
      expect(await readFile(canary, 'utf8')).toBe('untouched');
    });
  });

  describe('E25: terminals of the host', () => {
    it.each([
      ['a run', {}],
      ['a run with standard input open', { stdin: 'open' }],
    ] as const)('%s without a terminal has none to type into', async (_name, process) => {
      const result = await host.run(['sh', '-c', 'probe type 0; probe open /dev/tty rw'], { process }, '');
      expect(result.stdout.trim().split('\n')).toEqual(['ENOTTY', 'ENXIO']);
    });

    it('an exec neither, and no process of the runtime has one', async () => {
      await host.whileRunning(['sleep', '60'], {}, async (container, plan) => {
        const result = await host.exec(plan, container, ['sh', '-c', 'probe type 0; probe open /dev/tty rw']);
        expect(result.stdout.trim().split('\n')).toEqual(['ENOTTY', 'ENXIO']);
        for (const { pid } of [container.shim, container.init]) {
          const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
          expect(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4]).toBe('0');
        }
      });
    });

    it('control: what is typed arrives where there is a terminal: its own', async () => {
      const result = await host.run(['sh', '-c', 'stty -icanon; probe type 0; head -c 1'], {
        process: { tty: { rows: 1, cols: 80 } },
      });
      const legacy = (await readFile('/proc/sys/dev/tty/legacy_tiocsti', 'utf8').catch(() => '1')).trim() === '1';
      expect(result.stdout).toMatch(legacy ? /ok\r\nx/ : /EIO/);
    });
  });

  describe('E35: the environment of an image', () => {
    const evil = ['PATH=/bin', 'LD_PRELOAD=/evil.so', 'LD_LIBRARY_PATH=/evil', 'NODE_OPTIONS=--require /evil.js'];

    it('is that of its processes only', async () => {
      const bundle = await host.bundle();
      const plan = host.plan(bundle, ['sleep', '60'], { process: { env: evil } });
      const { shim, init, client } = await launchShim(host.spawner, { bundle, files: [], plan }, () => {}, host.signal);
      await client.start(host.signal);
      expect(await readFile(`/proc/${init.pid}/environ`, 'latin1')).toContain('LD_PRELOAD=/evil.so');
      expect(await readFile(`/proc/${shim.pid}/environ`, 'latin1')).not.toMatch(/evil|PATH|NODE/);
      await client.kill(9, 'init', host.signal);
      await client.closed;
    });
  });
});
