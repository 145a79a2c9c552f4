import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { docker, dockerHost, dockerOk, TestContainer, unique } from './lib/docker.ts';
import { memoryOf } from './lib/processes.ts';
import { killAndWait, pidOf } from './lib/services.ts';
import { until } from './lib/until.ts';
import { atollCall, atollOk, atollStart, copiesOf, TestVolume, unfinished } from './lib/volumes.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-volumes-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  await until('nothing to be under way', async () => unfinished().length === 0);
});

const file = (name: string): string => join(folder, name);
const sh = (script: string, cwd: string): string => execFileSync('sh', ['-ec', script], { cwd, encoding: 'utf8' });
/** All of a tree but times of folders: kinds, modes, owners, sizes, times, links and contents. */
const described = (path: string): string =>
  sh(
    'find . -printf "%P %y %m %U:%G %n %l " \\( -type f -printf "%s %T@\\n" -o -printf "\\n" \\) | sed "s/^\\(.* d [0-7]* [0-9:]*\\) .*/\\1/" | sort; find . -type f -exec sha256sum {} + | sort',
    path,
  );
const attributes = (path: string): string =>
  execFileSync(
    'python3',
    [
      '-c',
      'import os,sys\nprint(sorted((k,os.getxattr(sys.argv[1],k).hex()) for k in os.listxattr(sys.argv[1])))',
      path,
    ],
    { encoding: 'utf8' },
  );

const FILES = `mkdir -p /v/d/e; echo hi >/v/a; chown 33:44 /v/a; chmod 4750 /v/a; ln /v/a /v/d/hard; ln -s ../a /v/d/link; ln -s /etc/passwd /v/abs
mkfifo /v/p; printf end | dd of=/v/hole bs=1 seek=20000000 2>/dev/null; touch -d "2001-02-03 04:05:06" /v/d/e; dd if=/dev/urandom of=/v/big bs=64k count=40 2>/dev/null`;
/** Writes line after line, and says so on its log first. */
const WRITER =
  'trap "exit 0" TERM; i=$(wc -l </v/log 2>/dev/null || echo 0); while :; do i=$((i+1)); echo $i >>/v/log; sleep 0.02; done';

async function writer(volume: TestVolume, host: string, ...more: string[]): Promise<TestContainer> {
  const name = unique('writer');
  const wish = ['-l', `atoll.constraints=node.hostname==~${host}`];
  await dockerOk([
    'run',
    '-d',
    '--name',
    name,
    ...wish,
    '-v',
    `${volume.name}:/v`,
    ...more,
    'busybox',
    'sh',
    '-c',
    WRITER,
  ]);
  await until('lines', async () => (await docker(['exec', name, 'test', '-s', '/v/log'])).code === 0);
  return new TestContainer(name);
}
const lines = async (container: TestContainer): Promise<number[]> =>
  (await dockerOk(['exec', container.name, 'cat', '/v/log'])).split('\n').map(Number);
/** What was written is there, line by line, and more comes. */
async function goesOn(container: TestContainer): Promise<void> {
  const before = (await lines(container)).length;
  await until('more lines', async () => (await lines(container)).length > before);
  expect((await lines(container)).every((line, index) => line === index + 1)).toBe(true);
}

describe('backup and restore', () => {
  test('to another host, with everything files have; its user stands still and goes on', async () => {
    await using volume = new TestVolume();
    await using copy = new TestVolume();
    await dockerOk(['volume', 'create', '--label', 'tier=db', volume.name]);
    await volume.sh(FILES, h1);
    const source = await volume.mountpoint();
    execFileSync('python3', ['-c', "import os,sys\nos.setxattr(sys.argv[1],'user.note',b'x\\0y')", join(source, 'a')]);
    await using user = await writer(volume, h1);
    await atollOk('volume', 'backup', volume.name, '-o', file('whole.tar'));
    await goesOn(user);
    expect(statSync(file('whole.tar')).size).toBeLessThan(12_000_000);
    expect(sh(`tar -tf whole.tar | head -3`, folder)).toBe('atoll-volume.json\ndata/\ndata/a\n');
    expect(await atollOk('volume', 'restore', copy.name, '-i', file('whole.tar'), '--host', h2)).toBe(copy.name);
    expect(await copy.host()).toBe(h2);
    expect(await dockerOk(['volume', 'inspect', '-f', '{{.Labels.tier}}', copy.name])).toBe('db');
    await dockerOk(['rm', '-f', user.name]);
    const restored = await copy.mountpoint();
    sh('rm log', source);
    sh('rm log', restored);
    expect(described(restored)).toBe(described(source));
    expect(attributes(join(restored, 'a'))).toBe(attributes(join(source, 'a')));
    expect(statSync(join(restored, 'hole')).blocks).toBeLessThan(100);
    expect(await copy.sh('cat /v/a')).toBe('hi');
  });

  test.each([
    ['--stop', 'gzip'],
    ['--live', 'zstd'],
  ])('%s, compressed by %s, through pipes', async (how, compression) => {
    await using volume = new TestVolume();
    await using copy = new TestVolume();
    await using user = await writer(volume, h3);
    const started = await user.inspect<string>('.State.StartedAt');
    const { child, code } = atollStart('volume', 'backup', volume.name, how, '-z', compression);
    const parts: Buffer[] = [];
    child.stdout?.on('data', (part: Buffer) => parts.push(part));
    expect(await code).toBe(0);
    writeFileSync(file(compression), Buffer.concat(parts));
    await until('the user to run', async () => user.inspect<boolean>('.State.Running'));
    await goesOn(user);
    expect((await user.inspect<string>('.State.StartedAt')) === started).toBe(how === '--live');
    await atollOk('volume', 'restore', copy.name, '-i', file(compression));
    expect(await copy.sh('head -1 /v/log')).toBe('1');
  });

  test('a large one takes a bounded amount of memory', async () => {
    await using volume = new TestVolume();
    await using copy = new TestVolume();
    await volume.sh('dd if=/dev/zero of=/v/f bs=1M count=250 2>/dev/null', h1);
    const pids = ['gateway', 'scheduler', h1, h2].map(pidOf);
    const before = pids.map(memoryOf);
    const peaks = [...before];
    const watch = setInterval(() => {
      for (const [index, pid] of pids.entries()) peaks[index] = Math.max(peaks[index] ?? 0, memoryOf(pid));
    }, 100);
    try {
      await atollOk('volume', 'backup', volume.name, '-o', file('large.tar'));
      await atollOk('volume', 'restore', copy.name, '-i', file('large.tar'), '--host', h2);
      await dockerOk(['volume', 'rm', copy.name]);
      await atollOk('volume', 'move', volume.name, h2);
    } finally {
      clearInterval(watch);
      rmSync(file('large.tar'), { force: true });
    }
    for (const [index, peak] of peaks.entries()) expect(peak - (before[index] ?? 0)).toBeLessThan(150);
    expect(await volume.sh('wc -c </v/f')).toBe(String(250 << 20));
  });

  test('one that was changed is refused and nothing is made; the same name is free', async () => {
    await using volume = new TestVolume();
    await using copy = new TestVolume();
    await volume.sh(FILES, h1);
    await atollOk('volume', 'backup', volume.name, '-o', file('good.tar'));
    const bytes = readFileSync(file('good.tar'));
    const at = Math.floor(bytes.length / 2);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(file('bad.tar'), bytes);
    writeFileSync(file('cut.tar'), bytes.subarray(0, at));
    for (const [bad, words] of [
      ['bad.tar', /digest/],
      ['cut.tar', /ends in the middle/],
    ] as const) {
      const { code, stderr } = await atollCall('volume', 'restore', copy.name, '-i', file(bad));
      expect(code).not.toBe(0);
      expect(stderr).toMatch(words);
      expect((await docker(['volume', 'inspect', copy.name])).code).toBe(1);
      expect(copiesOf(copy.name)).toEqual([]);
    }
    await atollOk('volume', 'restore', copy.name, '-i', file('good.tar'));
    const again = await atollCall('volume', 'restore', copy.name, '-i', file('good.tar'));
    expect(again.stderr).toContain('exists already');
    await copy.sh('echo other >/v/a; rm /v/big');
    await atollOk('volume', 'restore', copy.name, '--force', '-i', file('good.tar'));
    expect(await copy.sh('cat /v/a; ls /v/big')).toBe('hi\n/v/big');
    await using user = new TestContainer(unique('user'));
    await dockerOk(['create', '--name', user.name, '-v', `${copy.name}:/v`, 'busybox', 'true']);
    const used = await atollCall('volume', 'restore', copy.name, '--force', '-i', file('good.tar'));
    expect(used.stderr).toContain(`in use by ${user.name}`);
  });

  test.each(['--stop', '--pause'])('interrupted (%s), it leaves no file, and its users go on', async (how) => {
    await using volume = new TestVolume();
    await volume.sh('dd if=/dev/zero of=/v/f bs=1M count=300 2>/dev/null', h2);
    await using user = await writer(volume, h2);
    const out = mkdtempSync(join(folder, 'out-'));
    const { child, code } = atollStart(
      'volume',
      'backup',
      volume.name,
      '-o',
      join(out, 'b.tar'),
      ...(how === '--stop' ? [how] : []),
    );
    await until('bytes', async () => readdirSync(out).some((name) => statSync(join(out, name)).size > 0));
    child.kill('SIGINT');
    expect(await code).not.toBe(0);
    expect(readdirSync(out)).toEqual([]);
    await until('the user to run', async () => (await user.inspect<string>('.State.Status')) === 'running');
    await goesOn(user);
  });

  test.each(['gateway', h2])('%s killed in the middle of one that nobody writes to: it goes on', async (part) => {
    await using volume = new TestVolume();
    await using copy = new TestVolume();
    await volume.sh('dd if=/dev/urandom of=/v/f bs=1M count=80 2>/dev/null; sha256sum /v/f >/v/sum', h2);
    const out = mkdtempSync(join(folder, 'out-'));
    const { code } = atollStart('volume', 'backup', volume.name, '-o', join(out, 'b.tar'));
    await until('bytes', async () => readdirSync(out).some((name) => statSync(join(out, name)).size > 1_000_000));
    await killAndWait(part);
    expect(await code).toBe(0);
    expect(readdirSync(out)).toEqual(['b.tar']);
    await atollOk('volume', 'restore', copy.name, '-i', join(out, 'b.tar'));
    await copy.sh('sha256sum -c /v/sum');
  });

  test.each(['gateway', 'scheduler', h2])('%s killed in the middle: users go on', async (part) => {
    await using volume = new TestVolume();
    await volume.sh('dd if=/dev/zero of=/v/f bs=1M count=300 2>/dev/null', h2);
    await using user = await writer(volume, h2);
    const path = file(unique('killed'));
    const { code } = atollStart('volume', 'backup', volume.name, '--stop', '-o', path);
    await until('the user to be stopped', async () => !(await user.inspect<boolean>('.State.Running')));
    await killAndWait(part);
    const ended = await code;
    await until('the user to run', async () => (await user.inspect<string>('.State.Status')) === 'running');
    await goesOn(user);
    // It was through already, or there is no file.
    expect(existsSync(path)).toBe(ended === 0);
  });
});

describe('clone', () => {
  test('is a volume of its own on the same host', async () => {
    await using volume = new TestVolume();
    await using copy = new TestVolume();
    await volume.sh(FILES, h3);
    await using user = await writer(volume, h3);
    expect(await atollOk('volume', 'clone', volume.name, copy.name, '--label', 'of=it')).toBe(copy.name);
    await goesOn(user);
    expect(await copy.host()).toBe(h3);
    expect(await dockerOk(['volume', 'inspect', '-f', '{{.Labels.of}}', copy.name])).toBe('it');
    await copy.sh('echo changed >/v/a; rm -r /v/d');
    expect(await volume.sh('cat /v/a; ls /v/d')).toBe('hi\ne\nhard\nlink');
    const again = await atollCall('volume', 'clone', volume.name, copy.name);
    expect(again.stderr).toContain('exists already');
  });
});

describe('move', () => {
  test('its user goes along with all its volumes and misses no line; nothing stays behind', async () => {
    await using volume = new TestVolume();
    await using other = new TestVolume();
    await volume.sh(FILES, h1);
    await using user = await writer(volume, h1, '-v', `${other.name}:/w`, '-v', '/x');
    await dockerOk(['exec', user.name, 'sh', '-c', 'echo named >/w/f; echo anonymous >/x/f']);
    const mounts = await user.inspect<{ Name: string; Destination: string }[]>('.Mounts');
    const anonymous = mounts.find(({ Destination }) => Destination === '/x')?.Name ?? '';
    const refused = await atollCall('volume', 'move', volume.name, h2);
    expect(refused.stderr).toContain(`used by ${user.name}`);
    const moved = await atollOk('volume', 'move', volume.name, other.name, h2, '--recreate', '--timeout', '2');
    expect(moved.split('\n').toSorted()).toEqual([volume.name, other.name, anonymous].toSorted());
    expect([await volume.host(), await other.host()]).toEqual([h2, h2]);
    for (const name of [volume.name, other.name, anonymous]) expect(copiesOf(name)).toEqual([h2]);
    await until(
      'the user to run there',
      async () => (await user.inspect('.Node.Name')) === h2 && (await user.inspect<boolean>('.State.Running')),
    );
    await goesOn(user);
    expect(await dockerOk(['exec', user.name, 'cat', '/w/f', '/x/f'])).toBe('named\nanonymous');
    expect(await volume.sh('stat -c "%u:%g %a" /v/d/hard; ls /v/d')).toBe('33:44 4750\ne\nhard\nlink');
    // It is the container's own again: it goes with it.
    await dockerOk(['rm', '-fv', user.name]);
    expect((await docker(['volume', 'inspect', anonymous])).code).toBe(1);
    await until('the anonymous volume to go', async () => copiesOf(anonymous).length === 0);
  });

  test.each([h1, h3, 'scheduler', 'gateway'])(
    '%s killed in the middle: one whole copy, and its user runs',
    async (part) => {
      await using volume = new TestVolume();
      await volume.sh('dd if=/dev/urandom of=/v/f bs=1M count=150 2>/dev/null; sha256sum /v/f >/v/sum', h1);
      await using user = await writer(volume, h1);
      const { code } = atollStart('volume', 'move', volume.name, h3, '--recreate', '--timeout', '2');
      await until('the copy to begin', async () => unfinished().length > 0);
      await killAndWait(part);
      await code;
      await until('the user to run', async () => (await user.inspect<string>('.State.Status')) === 'running');
      await until('one copy', async () => copiesOf(volume.name).length === 1);
      expect(copiesOf(volume.name)).toEqual([await volume.host()]);
      await goesOn(user);
      await dockerOk(['exec', user.name, 'sha256sum', '-c', '/v/sum']);
      // Asked again it goes, once the other host has removed what it had of the first try.
      await until('the move', async () => {
        if ((await volume.host()) === h3) return true;
        return (await atollCall('volume', 'move', volume.name, h3, '--recreate', '--timeout', '2')).code === 0;
      });
      await until('the user to run', async () => (await user.inspect<string>('.State.Status')) === 'running');
      await dockerOk(['exec', user.name, 'sha256sum', '-c', '/v/sum']);
    },
  );

  test('a host that is lost in the middle: the volume stays where it was; when it is back nothing of the copy is there', async () => {
    await using volume = new TestVolume();
    await volume.sh('dd if=/dev/urandom of=/v/f bs=1M count=150 2>/dev/null', h1);
    await using user = await writer(volume, h1);
    const { code } = atollStart('volume', 'move', volume.name, h3, '--recreate');
    await until('the copy to begin', async () => unfinished().length > 0);
    await atollOk('host', 'kill', h3);
    try {
      expect(await code).not.toBe(0);
      expect(await volume.host()).toBe(h1);
      await goesOn(user);
    } finally {
      await atollOk('host', 'start', h3);
    }
    await until('the copy to go', async () => copiesOf(volume.name).length === 1);
  });

  test('a host that is drained gives its volumes away', async () => {
    await using volume = new TestVolume();
    await using tied = new TestVolume();
    await volume.sh('echo kept >/v/f', h2);
    await tied.sh('true', h2);
    await using user = new TestContainer(unique('tied'));
    await dockerOk([
      'create',
      '--name',
      user.name,
      '-l',
      `atoll.constraints=node.hostname==${h2}`,
      '-v',
      `${tied.name}:/v`,
      'busybox',
      'true',
    ]);
    const before = await dockerOk(['ps', '-aq']);
    try {
      const { stderr, code } = await atollCall('node', 'drain', h2, '--volumes', '--recreate');
      expect(code).not.toBe(0);
      expect(stderr).toMatch(
        new RegExp(`1 of \\d+ volumes stay on ${h2}:\\n  ${tied.name}: container ${user.name} cannot go along`),
      );
      expect(await volume.host()).not.toBe(h2);
      expect(await volume.sh('cat /v/f')).toBe('kept');
      expect(await tied.host()).toBe(h2);
    } finally {
      await atollOk('node', 'activate', h2);
    }
    expect(await dockerOk(['ps', '-aq'])).toBe(before);
  });
});

test('files of a volume that was removed while its host was away go when it is back', async () => {
  await using volume = new TestVolume();
  await until(
    'the host to take containers',
    async () => (await volume.sh('echo old >/v/f', h3).catch(() => '1')) === '',
  );
  await atollOk('host', 'kill', h3);
  try {
    await until('the host to be missed', async () =>
      (await docker(['volume', 'rm', volume.name])).stderr.includes('not connected'),
    );
    await dockerOk(['volume', 'rm', '-f', volume.name]);
    expect(copiesOf(volume.name)).toEqual([h3]);
  } finally {
    await atollOk('host', 'start', h3);
  }
  await until('the files to go', async () => copiesOf(volume.name).length === 0);
  await until('the host to take containers', async () => (await volume.sh('ls /v', h3).catch(String)) === '');
});

describe('bad input', () => {
  const call = (method: string, path: string, body?: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length };
      const socketPath = dockerHost().replace('unix://', '');
      const outgoing = request({ socketPath, method, path: `/v1.44/atoll/volumes/${path}`, headers }, (response) => {
        let text = '';
        response.on('data', (part) => (text += String(part)));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });

  let name: string;
  beforeAll(async () => {
    name = unique('vol');
    await dockerOk(['run', '--rm', '-v', `${name}:/v`, 'busybox', 'true']);
  });
  afterAll(() => docker(['volume', 'rm', name]));

  test.each<[string, string, string, string | undefined, number, RegExp]>([
    ['a backup of nothing', 'GET', 'none-such/backup', undefined, 404, /no such volume/],
    ['another way to read', 'GET', 'NAME/backup?access=quick', undefined, 400, /access.*pause/],
    ['another compression', 'GET', 'NAME/backup?compress=lz4', undefined, 400, /compress.*zstd/],
    ['to go on without a digest', 'GET', 'NAME/backup?skip=5', undefined, 400, /sha256.*64 hex/],
    [
      'to go on with another volume',
      'GET',
      `NAME/backup?skip=5&created=2026-01-01&sha256=${'0'.repeat(64)}`,
      undefined,
      416,
      /begin anew/,
    ],
    ['to go on with what is compressed', 'GET', 'NAME/backup?skip=5&compress=gzip', undefined, 400, /compress/],
    ['a time that is none', 'GET', 'NAME/backup?timeout=-1', undefined, 400, /timeout.*seconds from 0/],
    ['a restore of nothing', 'POST', 'new-one/restore', undefined, 400, /cut off/],
    ['a restore of no archive', 'POST', 'new-one/restore', '{}', 400, /archive/],
    ['a restore under a bad name', 'POST', 'x/restore', '', 400, /too short/],
    ['a restore to no host', 'POST', 'new-one/restore?host=h99', '', 404, /no node h99/],
    ['a clone without a name', 'POST', 'NAME/clone', '{}', 400, /Name/],
    ['a clone with a path', 'POST', 'NAME/clone', '{"Name":"../x"}', 400, /Name/],
    ['a clone of nothing', 'POST', 'none-such/clone', '{"Name":"new-one"}', 404, /no such volume/],
    ['a field that is unknown', 'POST', 'NAME/move', '{"Host":"x","Fast":true}', 400, /Fast/],
    ['a move to no host', 'POST', 'NAME/move', '{"Host":"h99"}', 404, /no node h99/],
    ['no JSON', 'POST', 'NAME/move', '{', 400, /JSON|json/],
  ])('%s', async (_name, method, path, body, status, words) => {
    const answer = await call(method, path.replace('NAME', name), body);
    expect(answer).toEqual({ status, text: expect.stringMatching(words) });
    expect(await dockerOk(['volume', 'ls', '-q', '--filter', 'name=new-one'])).toBe('');
    expect(copiesOf('new-one')).toEqual([]);
  });

  test('options of a driver', async () => {
    await using volume = new TestVolume();
    await dockerOk(['volume', 'create', '--opt', 'type=tmpfs', '--opt', 'device=tmpfs', volume.name]);
    await volume.sh('true');
    for (const [verb, ...more] of [['backup'], ['clone', unique('vol')], ['move', h1]]) {
      const { code, stderr } = await atollCall('volume', verb ?? '', volume.name, ...more);
      expect(code).not.toBe(0);
      expect(stderr).toContain('options of its driver');
    }
  });
});
