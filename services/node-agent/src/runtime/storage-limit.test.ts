import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { attachShim } from './attach-shim.ts';
import { DOCKER_CAPABILITIES } from './capabilities.ts';
import { launchShim } from './launch-shim.ts';
import type { ContainerPlan } from './plan.ts';
import { dockerSeccompProgram } from './seccomp/docker-seccomp.ts';
import { guardProject } from './seccomp/project-guard.ts';
import { ShimClient } from './shim-client.ts';
import { ShimSpawner } from './shim-spawner.ts';
import { ShimTools } from './shim-tools.ts';
import { type ProjectUse, QUOTA_FILE_SYSTEMS, QuotaDisk } from './testing/quota-disk.ts';
import { buildFailpointShim, buildShim } from './testing/shim-binary.ts';
import { collect, type Finished, TestHost } from './testing/test-host.ts';
import { TEST_IDS, type UserNamespaceMode } from './testing/user-namespace-modes.ts';

const MIB = 2 ** 20;
const LIMIT = 8 * MIB;
const guarded = guardProject(dockerSeccompProgram(new Set(DOCKER_CAPABILITIES)));
const signal = () => AbortSignal.timeout(60_000);
/** Where ids that Atoll gives begin. */
const FIRST = 2 ** 30;

describe('without project quotas', () => {
  test('the host says what is missing', async () => {
    const folder = execFileSync('mktemp', ['-d', '-p', '/dev/shm'], { encoding: 'utf8' }).trim();
    try {
      expect(await new ShimTools(buildShim()).storageLimits(folder, signal())).toEqual({
        fileSystem: 'tmpfs',
        missing: 'its data root is on tmpfs, and only xfs and ext4 are used for it',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('a container with a limit is not prepared', async () => {
    await using host = await TestHost.create('without', '/dev/shm');
    const bundle = await host.bundle();
    await expect(host.launch(bundle, limited(host, bundle, ['true']))).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringMatching(/"limit storage".* its data root is on tmpfs/),
    });
  });

  test.for(QUOTA_FILE_SYSTEMS)('%s that is mounted without them says so', async (kind, { skip }) => {
    const disk = QuotaDisk.mount(kind, false);
    if (typeof disk === 'string') return skip(`not applicable: ${disk}`);
    try {
      const { fileSystem, missing } = await new ShimTools(buildShim()).storageLimits(disk.folder, signal());
      expect(fileSystem).toBe(kind);
      expect(missing).toMatch(/^(its data root is on .*prjquota|its kernel has no quotas)/);
    } finally {
      await disk.dispose();
    }
  });
});

/** Files of xfs have projects whether anything counts them or not. */
describe('a folder moved to another project, with no quotas', () => {
  const bare = dockerSeccompProgram(new Set(DOCKER_CAPABILITIES));
  test.for<[UserNamespaceMode, string, Uint8Array, string]>([
    ['without', 'and behind the guard', guarded, 'EPERM'],
    ['without', 'control: and without the guard', bare, 'ok'],
    ['with', 'and without the guard', bare, 'EINVAL'],
  ])('%s a user namespace %s', async ([mode, , seccomp, wanted], { skip }) => {
    const disk = QuotaDisk.mount('xfs', false);
    if (typeof disk === 'string') return skip(`not applicable: ${disk}`);
    try {
      if (mode === 'with' && !(await hasUserNamespaces(disk.folder)))
        return skip('not applicable: this kernel cannot show overlays in user namespaces');
      await using host = await TestHost.create(mode, disk.folder);
      const bundle = await host.bundle();
      for (const name of ['upper', 'work']) execFileSync('chattr', ['-p', '5', '+P', join(bundle, name)]);
      const plan = host.plan(bundle, ['sh', '-c', 'mkdir /d; probe flags /d; probe project /d 6'], {
        process: { seccomp },
      });
      await host.launch(bundle, plan);
      using client = await ShimClient.connect(bundle, () => {}, signal());
      const session = await attachShim(bundle, { stdin: false, stdout: true, stderr: true }, signal());
      const finished = collect(session);
      await client.start(signal());
      expect((await finished).stdout.split('\n').slice(0, 2)).toEqual([wanted, wanted]);
      await client.closed;
      const project = execFileSync('lsattr', ['-p', '-d', join(bundle, 'upper/d')], { encoding: 'utf8' });
      expect(Number(project.trim().split(' ')[0])).toBe(wanted === 'ok' ? 6 : 5);
    } finally {
      await disk.dispose();
    }
  });
});

async function hasUserNamespaces(parent: string): Promise<boolean> {
  const folder = await mkdtemp(join(parent, 'check-'));
  return await new ShimTools(buildShim()).checkUserNamespaces(folder, TEST_IDS, signal()).then(
    () => true,
    () => false,
  );
}

function limited(host: TestHost, bundle: string, argv: readonly string[], storageLimit = BigInt(LIMIT)): ContainerPlan {
  const root = {
    kind: 'overlay' as const,
    lowers: [host.layer],
    upper: join(bundle, 'upper'),
    work: join(bundle, 'work'),
    readonly: false,
    storageLimit,
  };
  return host.plan(bundle, argv, { plan: { root }, process: { seccomp: guarded } });
}

describe.each(QUOTA_FILE_SYSTEMS)('a limit of storage on %s', (kind) => {
  let disk: QuotaDisk | string;
  let host: TestHost;
  const own = (): QuotaDisk => disk as QuotaDisk;

  beforeAll(async () => {
    disk = QuotaDisk.mount(kind);
    if (typeof disk !== 'string') host = await TestHost.create('without', disk.folder);
  });
  afterAll(async () => {
    if (typeof disk === 'string') return;
    await host[Symbol.asyncDispose]();
    await disk.dispose();
  });

  /** A test that is shown as not applicable, with the reason, on machines without such quotas. */
  const where = (name: string, body: () => Promise<void>): void =>
    test(name, async ({ skip }) => {
      if (typeof disk === 'string') return skip(`not applicable: ${disk}`);
      await body();
    });

  async function run(bundle: string, plan: ContainerPlan): Promise<Finished> {
    await host.launch(bundle, plan);
    using client = await ShimClient.connect(bundle, () => {}, signal());
    const session = await attachShim(bundle, { stdin: false, stdout: true, stderr: true }, signal());
    const finished = collect(session);
    await client.start(signal());
    const result = await finished;
    await client.closed;
    return result;
  }
  const shell = (bundle: string, script: string, bytes?: bigint): Promise<Finished> =>
    run(bundle, limited(host, bundle, ['sh', '-c', script], bytes));
  const limits = (): readonly number[] =>
    own()
      .projects()
      .map(({ limit }) => limit);

  /** Missing is fine. */
  async function remove(bundle: string): Promise<void> {
    await host.spawner.removeTree(bundle, signal(), 'work');
  }
  /** What still counts on a project, or limits one; xfs tells of removed files a moment later. */
  const left = async (wanted: readonly ProjectUse[]): Promise<void> =>
    await expect.poll(() => own().projects(), { timeout: 30_000 }).toEqual(wanted);
  const bundles: string[] = [];
  async function newBundle(): Promise<string> {
    bundles.push(await host.bundle());
    return bundles.at(-1) as string;
  }
  afterEach(async () => {
    for (const bundle of bundles.splice(0)) await remove(bundle);
    if (typeof disk === 'string') return;
    for (const { id, limit } of own().projects()) if (limit > 0) own().limit(id, 0);
    await left([]);
  });

  where('holds for what a container writes, and is what df shows', async () => {
    expect(await new ShimTools(host.shim).storageLimits(own().folder, signal())).toEqual({
      fileSystem: kind,
      missing: '',
    });
    const bundle = await newBundle();
    const fill = 'dd if=/dev/zero of=/big bs=64k count=320 2>&1; stat -c %s /big; df -k / | tail -1';
    const { stdout } = await shell(bundle, fill);
    expect(stdout).toMatch(kind === 'xfs' ? /No space left on device/ : /Disk quota exceeded/);
    const [size, shown] = stdout.trim().split('\n').slice(-2) as [string, string];
    expect(Number(size)).toBeGreaterThan(LIMIT / 2);
    expect(Number(size)).toBeLessThanOrEqual(LIMIT);
    expect(shown.split(/\s+/)[1]).toBe(String(LIMIT / 1024));

    // The next run has what is left of it, and what is removed comes back: with xfs a moment later.
    const more = 'dd if=/dev/zero of=/more bs=64k count=64 2>&1';
    expect(await shell(bundle, `cat /proc/mounts | grep " / "; ${more}`)).toMatchObject({
      exit: { code: 1 },
      stdout: expect.stringMatching(/^overlay \/ overlay rw,.*(No space left on device|Disk quota exceeded)/s),
    });
    const again = `for i in $(seq 300); do ${more} >/dev/null && exit 0; sleep 0.1; done; exit 1`;
    expect((await shell(bundle, `rm /big; rm -f /more; ${again}`)).exit.code).toBe(0);
    await remove(bundle);
    await left([]);
  });

  where('holds for files that are copied into a container that does not run', async () => {
    const bundle = await newBundle();
    await shell(bundle, 'true');
    const put = (bytes: number): Promise<void> => {
      const tar = execFileSync('tar', ['-C', own().folder, '-cf', '-', `f${bytes}`], { maxBuffer: 64 * MIB });
      const root = { kind: 'bundle' as const, path: bundle };
      return new ShimTools(host.shim).putArchive(root, '/', Readable.from([tar]), {}, signal());
    };
    for (const bytes of [MIB, 12 * MIB]) await writeFile(join(own().folder, `f${bytes}`), Buffer.alloc(bytes, 1));
    await put(MIB);
    await expect(put(12 * MIB)).rejects.toMatchObject({ reason: 'resource-exhausted' });
    await remove(bundle);
    await left([]);
  });

  where('is not one of binds, nor of other containers', async () => {
    const [one, other, free] = [await newBundle(), await newBundle(), await newBundle()];
    const source = join(own().folder, 'bound');
    await mkdir(source, { recursive: true });
    const plan = limited(host, one, ['sh', '-c', 'dd if=/dev/zero of=/mnt/big bs=1M count=16 2>&1']);
    const bind = { kind: 'bind' as const, source, target: '/mnt', flags: [], recursive: false };
    expect(await run(one, { ...plan, mounts: [...plan.mounts, { ...bind, propagation: 'private' }] })).toMatchObject({
      exit: { code: 0 },
    });
    expect((await shell(other, 'dd if=/dev/zero of=/big bs=1M count=6 2>&1', BigInt(2 * LIMIT))).exit.code).toBe(0);
    expect([...limits()].sort()).toEqual([LIMIT, 2 * LIMIT].sort());
    expect((await run(free, host.plan(free, ['dd', 'if=/dev/zero', 'of=/big', 'bs=1M', 'count=12']))).exit.code).toBe(
      0,
    );
    expect(limits()).toHaveLength(2);
    for (const made of [one, other, free]) await remove(made);
    await rm(source, { recursive: true });
    await left([]);
  });

  where('takes no project that somebody else limits or uses', async () => {
    const bundle = await newBundle();
    const { ino } = await stat(join(bundle, 'work'));
    const first = FIRST + (ino % FIRST);
    own().limit(first, 123 * MIB);
    await shell(bundle, 'true');
    const found = own().projects();
    expect(found).toHaveLength(2);
    expect(found).toContainEqual({ id: first, limit: 123 * MIB, bytes: 0, files: 0 });
    await remove(bundle);
    await left([{ id: first, limit: 123 * MIB, bytes: 0, files: 0 }]);
    own().limit(first, 0);
  });

  where('a removal lifts no limit but ours', async () => {
    const folder = join(own().folder, 'volume');
    await mkdir(join(folder, 'work'), { recursive: true });
    execFileSync('chattr', ['-p', '77', join(folder, 'work')]);
    own().limit(77, 5 * MIB);
    await host.spawner.removeTree(folder, signal(), 'work');
    await left([{ id: 77, limit: 5 * MIB, bytes: 0, files: 0 }]);
    own().limit(77, 0);
  });

  where('an overlay that has only been read before is no hindrance', async () => {
    const bundle = await newBundle();
    await mkdir(join(bundle, 'work/work'), { mode: 0 });
    expect((await shell(bundle, 'dd if=/dev/zero of=/big bs=1M count=12 2>/dev/null')).exit.code).toBe(1);
    expect(limits()).toEqual([LIMIT]);
    await remove(bundle);
    await left([]);
  });

  where('files that no project counts are not taken for limited ones', async () => {
    const bundle = await newBundle();
    await writeFile(join(bundle, 'upper/old'), 'x');
    await expect(shell(bundle, 'true')).rejects.toMatchObject({
      message: expect.stringMatching(/has files that no project counts/),
    });
    await remove(bundle);
    await left([]);
  });

  describe('what a program does to leave its project', () => {
    const leave =
      'mkdir /d; probe project /d 0; probe flags /d; dd if=/dev/zero of=/d/big bs=1M count=12 2>/dev/null; echo $?';
    where('fails behind the guard', async () => {
      const bundle = await newBundle();
      expect((await shell(bundle, leave)).stdout.split('\n')).toEqual(['EPERM', 'EPERM', '1', '']);
      await remove(bundle);
    });
    where('control: works without it', async () => {
      const bundle = await newBundle();
      const plan = limited(host, bundle, ['sh', '-c', leave]);
      const seccomp = dockerSeccompProgram(new Set(DOCKER_CAPABILITIES));
      const { stdout } = await run(bundle, { ...plan, process: { ...plan.process, seccomp } });
      expect(stdout.split('\n')).toEqual(['ok', 'ok', '0', '']);
      await remove(bundle);
      await left([]);
    });
  });

  describe('a process of the shim is killed', () => {
    async function crashAt(name: string, operation: (spawner: ShimSpawner) => Promise<unknown>): Promise<void> {
      const folder = join(own().folder, `spawner-${name}`);
      await mkdir(folder, { mode: 0o700 });
      await writeFile(join(folder, 'failpoint'), Buffer.concat([Buffer.from(name), Buffer.alloc(64 - name.length)]));
      const spawner = await ShimSpawner.start(buildFailpointShim(), folder);
      await expect(operation(spawner)).rejects.toThrow();
      await spawner.close();
      await rm(folder, { recursive: true });
    }

    for (const name of ['limit.1-claimed', 'limit.2-settled', 'limit.3-prepared', 'limit.4-held']) {
      where(`${name}: the next launch has one limit, and none is left`, async () => {
        const bundle = await newBundle();
        const plan = limited(host, bundle, ['true']);
        await crashAt(name, (spawner) => launchShim(spawner, { bundle, files: [], plan }, () => {}, signal()));
        expect((await shell(bundle, 'dd if=/dev/zero of=/big bs=1M count=12 2>/dev/null')).exit.code).toBe(1);
        expect(limits()).toEqual([LIMIT]);
        await remove(bundle);
        await left([]);
      });
      where(`${name}: removed before another launch, none is left`, async () => {
        const bundle = await newBundle();
        const plan = limited(host, bundle, ['true']);
        await crashAt(name, (spawner) => launchShim(spawner, { bundle, files: [], plan }, () => {}, signal()));
        await remove(bundle);
        await left([]);
      });
    }

    for (const name of ['remove.1-begun', 'remove.2-lifted', 'remove.3-gone']) {
      where(`${name}: removed again, none is left`, async () => {
        const bundle = await newBundle();
        await shell(bundle, 'echo x > /file');
        await crashAt(name, (spawner) => spawner.removeTree(bundle, signal(), 'work'));
        await remove(bundle);
        await left([]);
      });
    }
  });
});
