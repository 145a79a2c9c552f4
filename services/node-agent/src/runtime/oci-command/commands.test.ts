import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OciHost } from '../testing/oci-host.ts';

/** Every command of our OCI command line beside Debian's runc: the same steps have the same codes and states. */
const NAMES = ['runc', 'atoll-oci'] as const;
const hosts = new Map<string, OciHost>();
beforeAll(async () => {
  for (const name of NAMES) hosts.set(name, await OciHost.create(name));
});
afterAll(async () => {
  for (const host of hosts.values()) {
    host.deleteAll();
    const left = host.leftovers();
    await host[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  }
});

type Step = string | ((context: { host: OciHost; id: string; bundle: string }) => Promise<unknown> | unknown);

/** What the steps gave: codes of commands, results of functions. */
async function trace(host: OciHost, args: readonly string[], steps: readonly Step[]): Promise<readonly unknown[]> {
  const id = host.newId();
  const bundle = await host.bundle(args);
  const results: unknown[] = [];
  for (const step of steps) {
    if (typeof step !== 'string') results.push(await step({ host, id, bundle }));
    else if (step === 'create') results.push((await host.created(bundle, id)).code);
    else if (step === 'run -d') results.push(host.run(['run', '-d', '--bundle', bundle, id], { detached: true }).code);
    else {
      const [command = '', ...rest] = step.split(' ');
      const options = rest.filter((word) => word.startsWith('-'));
      const more = rest.filter((word) => !word.startsWith('-'));
      results.push(host.run([command, ...options, id, ...more]).code);
    }
  }
  host.run(['delete', '--force', id]);
  return results;
}

const status: Step = ({ host, id }) => host.state(id)?.status;
const settled =
  (wanted: string | undefined): Step =>
  async ({ host, id }) => {
    await expect.poll(() => host.state(id)?.status, { timeout: 10_000 }).toBe(wanted);
    return wanted;
  };

describe('the same as runc', { timeout: 60_000 }, () => {
  const SLEEP = ['sleep', '600'];
  test.each([
    [
      'the life of a container',
      SLEEP,
      ['create', status, 'start', status, 'kill KILL', settled('stopped'), 'delete', status],
    ],
    ['a program that ends', ['true'], ['create', 'start', settled('stopped'), 'start', 'kill', 'delete']],
    ['a second create of one id', SLEEP, ['create', 'create', status]],
    ['a second start', SLEEP, ['create', 'start', 'start']],
    ['deleted before the start', SLEEP, ['create', 'delete', status]],
    ['deleted while it runs: only by force', SLEEP, ['run -d', 'delete', status, 'delete --force', status]],
    ['paused and resumed', SLEEP, ['run -d', 'pause', status, 'resume', status, 'resume']],
    ['paused: no exec', SLEEP, ['run -d', 'pause', 'exec true', 'resume', 'exec true']],
    ['paused and killed', SLEEP, ['run -d', 'pause', 'kill KILL', settled('stopped')]],
    [
      'what is not there',
      SLEEP,
      ['state', 'start', 'kill KILL', 'delete', 'delete --force', 'pause', 'resume', 'exec true', 'ps'],
    ],
    [
      'signals by name and number',
      ['sh', '-c', 'trap "exit 0" USR1; while :; do sleep 0.05; done'],
      ['run -d', 'kill 0', 'kill NOPE', 'kill SIGKILL', settled('stopped')],
    ],
    [
      'execs: codes',
      SLEEP,
      ['run -d', 'exec true', 'exec sh -c', 'exec nothing-here', 'exec /etc/noexec', 'exec cat /none'],
    ],
    [
      'updated',
      SLEEP,
      [
        'run -d',
        ({ host, id }) => host.run(['update', '--resources', '-', id], { input: '{"pids":{"limit":33}}' }).code,
        ({ host, id }) => host.run(['exec', id, 'cat', '/sys/fs/cgroup/pids/pids.max']).stdout,
      ],
    ],
    [
      'updated by an option',
      SLEEP,
      [
        'run -d',
        ({ host, id }) => host.run(['update', '--pids-limit', '34', id]).code,
        ({ host, id }) => host.run(['exec', id, 'cat', '/sys/fs/cgroup/pids/pids.max']).stdout,
      ],
    ],
    ['updated when it has ended', ['true'], ['run -d', settled('stopped'), 'update --pids-limit=5']],
    [
      'its processes',
      SLEEP,
      [
        'run -d',
        ({ host, id }) =>
          (JSON.parse(host.run(['ps', '--format', 'json', id]).stdout) as number[]).includes(host.state(id)?.pid ?? 0),
      ],
    ],
    ['a program that is not there', ['nothing-here'], ['run -d', status]],
    [
      'a command that is not there',
      SLEEP,
      [
        ({ host }) => host.run(['nothing']).code !== 0,
        ({ host }) => host.run(['create']).code !== 0,
        ({ host, bundle }) => host.run(['create', '--bundle', bundle, '../x']).code,
      ],
    ],
    ['an option that is not there', SLEEP, [({ host, id }) => host.run(['state', '--nothing', id]).code !== 0]],
    ['a bundle that is not there', SLEEP, [({ host, id }) => host.run(['create', '--bundle', '/none', id]).code]],
    [
      'a config that is no JSON',
      SLEEP,
      [({ bundle }) => writeFileSync(join(bundle, 'config.json'), '{'), 'create', status],
    ],
  ] as [string, string[], Step[]][])('%s', async (_name, args, steps) => {
    const [theirs, ours] = await Promise.all(NAMES.map((name) => trace(hosts.get(name) as OciHost, args, steps)));
    expect(ours).toEqual(theirs);
  });

  test.each([
    ['user and groups', ['id'], { user: { uid: 7, gid: 8, additionalGids: [9] } }],
    ['capabilities', ['grep', 'Cap', '/proc/self/status'], {}],
    [
      'ambient capabilities',
      ['grep', 'Cap', '/proc/self/status'],
      {
        user: { uid: 5, gid: 5 },
        capabilities: Object.fromEntries(
          ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'].map((set) => [
            set,
            ['CAP_KILL', 'CAP_NET_RAW'],
          ]),
        ),
      },
    ],
    ['no new privileges', ['grep', 'NoNew', '/proc/self/status'], { noNewPrivileges: true }],
    ['a folder', ['sh', '-c', 'pwd'], { cwd: '/made/here' }],
    ['an umask', ['sh', '-c', 'umask'], { user: { uid: 0, gid: 0, umask: 0o77 } }],
    ['limits', ['sh', '-c', 'ulimit -n; ulimit -Hn'], { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 50, hard: 60 }] }],
    ['a score', ['cat', '/proc/self/oom_score_adj'], { oomScoreAdj: 200 }],
    ['variables', ['sh', '-c', 'echo $A $HOME'], { env: ['A=b', 'PATH=/bin'] }],
    ['a code', ['sh', '-c', 'exit 42'], {}],
    [
      'devices',
      [
        'sh',
        '-c',
        'stat -c "%n %t:%T %a" /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; ls -l /dev/fd | tr -s " " | grep -o "/dev.*"',
      ],
      {},
    ],
    ['devices that are closed', ['sh', '-c', 'mknod /x c 1 1 2>/dev/null; cat /dev/null && echo open'], {}],
  ] as [string, string[], object][])('a process: %s', async (_name, args, changes) => {
    const [theirs, ours] = await Promise.all(
      NAMES.map((name) =>
        (hosts.get(name) as OciHost).outcome(args, (config) => Object.assign(config.process, changes)),
      ),
    );
    expect(ours).toEqual(theirs);
  });

  test('the state has the members of the specification', async () => {
    const states = await Promise.all(
      NAMES.map(async (name) => {
        const host = hosts.get(name) as OciHost;
        const id = host.newId();
        const bundle = await host.bundle(['sleep', '600'], (config) => {
          config['annotations'] = { 'org.example.é': 'a"b' };
        });
        host.run(['run', '-d', '--bundle', bundle, id], { detached: true });
        const state = JSON.parse(host.run(['state', id]).stdout) as Record<string, unknown>;
        expect(state).toMatchObject({
          id,
          bundle,
          status: 'running',
          rootfs: join(bundle, 'rootfs'),
          pid: expect.any(Number),
        });
        expect(Date.parse(String(state['created']))).toBeGreaterThan(0);
        const {
          id: _id,
          bundle: _bundle,
          rootfs: _rootfs,
          pid: _pid,
          created: _created,
          ociVersion: _version,
          ...rest
        } = state;
        return rest;
      }),
    );
    expect(states[1]).toEqual(states[0]);
  });

  test.each(['text', 'json'])('the log, as %s', async (format) => {
    const logs = await Promise.all(
      NAMES.map(async (name) => {
        const host = hosts.get(name) as OciHost;
        const log = join(host.folder, `log-${format}`);
        const outcome = host.run(['--log', log, '--log-format', format, 'state', 'nothing-here']);
        const text = readFileSync(log, 'utf8');
        const line =
          format === 'json'
            ? (JSON.parse(text) as { level: string; msg: string })
            : { level: /level=(\w+)/.exec(text)?.[1], msg: /msg="(.*)"/.exec(text)?.[1] };
        return { code: outcome.code, level: line.level, msg: line.msg, stderr: outcome.stderr.trim() };
      }),
    );
    expect(logs[1]).toEqual(logs[0]);
  });
});
