import { spawnSync } from 'node:child_process';
import { chmod, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { USER_NAMESPACE_MODES } from '../runtime/testing/user-namespace-modes.ts';
import { TestHost } from '../testing/test-host.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create({ userNamespaces: mode });
  });
  afterAll(async () => {
    await host?.dispose();
  });

  describe('E15: settings of the kernel', { timeout: 60_000 }, () => {
    test.each([
      ['one of the host', { 'kernel.core_pattern': '|/evil' }],
      ['a second one behind a plus', { 'net.ipv4.ip_forward': '1+kernel.core_pattern=/evil' }],
      ['a second one behind a line break', { 'kernel.shm_rmid_forced': '1\nkernel.core_pattern=/evil' }],
      ['one by a path', { 'net.ipv4/../../kernel/core_pattern': '/evil' }],
      ['one by dots', { 'net....kernel.core_pattern': '/evil' }],
      ['one with a zero byte', { 'net.ipv4.ip_forward': '1\0' }],
    ] as [string, Record<string, string>][])('%s is refused and the host keeps its own', async (_name, sysctls) => {
      const before = await readFile('/proc/sys/kernel/core_pattern', 'utf8');
      const record = host.record(['true'], { sysctls });
      await host.ensure(record);
      const result = await host.scheduler.tryOrder({ action: 2, record: { ...record, desired: 2, generation: 2n } });
      expect(result.code).toBe(3);
      expect(await readFile('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
      await host.remove(record);
    });
  });

  describe('E38: files of containers on the host', { timeout: 60_000 }, () => {
    const asUser = (script: string): string =>
      spawnSync('sh', ['-c', script], { uid: 1000, gid: 1000, encoding: 'utf8', timeout: 20_000 }).stdout.trim();

    test('are out of reach of its users, even by their names', async () => {
      const record = host.record(['sleep', '600']);
      await host.ensure(record);
      await host.start(record);
      await chmod(host.folder, 0o755);
      try {
        const found = (await readdir(host.dataRoot, { recursive: true })).filter((name) => name.endsWith('busybox'));
        expect(found.length).toBeGreaterThan(0);
        for (const name of found) expect(asUser(`cat '${join(host.dataRoot, name)}' | head -c 4`)).toBe('');
        expect(asUser(`find '${host.dataRoot}' -type f -readable 2>/dev/null`)).toBe('');
        expect(
          asUser(
            `ls '${host.dataRoot}/containers' 2>/dev/null; ls '${host.dataRoot}/containers/${record.id}' 2>/dev/null`,
          ),
        ).toBe('');
        // The control: root reads what the user could not.
        expect((await readFile(join(host.dataRoot, found[0] ?? ''))).length).toBeGreaterThan(0);
      } finally {
        await chmod(host.folder, 0o700);
      }
      await host.remove(record);
    });
  });

  describe('E39: many at once', { timeout: 120_000 }, () => {
    test('each has its own environment and name, and nothing of the others', async () => {
      const marks = Array.from({ length: 100 }, (_, index) => `mark${index}x`);
      const outputs = await Promise.all(
        marks.map(async (mark) => {
          const record = host.record(['sh', '-c', 'env | grep -o "mark[0-9]*x"; hostname'], {
            process: { env: ['PATH=/bin', `MARK=${mark}`] },
            network: { mode: 'none', hostname: mark },
          });
          const { output } = await host.run({
            ...record,
            spec: {
              ...record.spec,
              process: { ...record.spec?.process, cmd: ['sh', '-c', 'env | grep -o "mark[0-9]*x" | sort -u'] },
            },
          } as typeof record);
          await host.remove(record);
          return output;
        }),
      );
      expect(outputs).toEqual(marks.map((mark) => `${mark}\n`));
    });
  });

  describe('E46: a crash', { timeout: 60_000 }, () => {
    const crash = ['sh', '-c', 'ulimit -c; cd /tmp; sh -c "kill -SEGV \\$\\$"; ls /tmp'];

    test('leaves no core file', async () => {
      const record = host.record(crash);
      const { output } = await host.run(record);
      expect(output.replace(/Segmentation.*\n/, '')).toBe('0\n');
      await host.remove(record);
    });
    test('control: it does where the container asks for them and the host writes plain files', async () => {
      const pattern = (await readFile('/proc/sys/kernel/core_pattern', 'utf8')).trim();
      const record = host.record(crash, { ulimits: [{ name: 'core', soft: 1n << 30n, hard: 1n << 30n }] });
      const { output } = await host.run(record);
      expect(output).not.toMatch(/^0\n/);
      if (pattern === 'core') expect(output).toMatch(/^core/m);
      await host.remove(record);
    });
  });
});
