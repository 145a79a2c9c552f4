import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from './testing/fake-cluster.ts';
import { ask } from './testing/http-client.ts';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
  await create({ Cmd: ['sleep'] }, 'running', true);
  await create({ Cmd: ['sleep'] }, 'made');
});
afterAll(() => cluster.stop());

const post = (path: string, body?: object) => ask(cluster.socketPath, 'POST', path, body);
const get = (path: string) => ask(cluster.socketPath, 'GET', path);

async function create(config: object, name: string, start = false): Promise<string> {
  const created = await post(`/containers/create?name=${name}`, { Image: 'busybox', ...config });
  expect(created.status, created.text).toBe(201);
  if (start) expect((await post(`/containers/${name}/start`)).status).toBe(204);
  return (created.json as { Id: string }).Id;
}

const refusal = (message: string) => ({ message: expect.stringContaining(message) });

describe('wait', () => {
  /** Waits for a running container; says whether the head came before its end, and the answer. */
  async function waited(version: string, query: string): Promise<{ early: boolean; text: string }> {
    const id = await create({ Cmd: ['cat'] }, `waited-${version}-${query.length}`, true);
    let early = false;
    const text = new Promise<string>((resolve, reject) => {
      const call = request(
        {
          socketPath: cluster.socketPath,
          method: 'POST',
          path: `/v${version}/containers/${id}/wait${query}`,
          agent: false,
        },
        (response) => {
          early = cluster.agent.containers.get(id)?.status.finishedAtNs === 0n;
          let body = '';
          response.on('data', (chunk: Buffer) => {
            body += chunk.toString();
          });
          response.on('end', () => resolve(body));
        },
      );
      call.on('error', reject);
      call.end();
    });
    await expect.poll(() => cluster.agent.containers.get(id)?.watchers.size).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await post(`/containers/${id}/kill`);
    const answer = { text: await text, early };
    await ask(cluster.socketPath, 'DELETE', `/containers/${id}?force=1`);
    return answer;
  }

  test.each([
    ['1.51', '', true],
    ['1.51', '?condition=not-running', true],
    ['1.51', '?condition=next-exit', true],
    ['1.30', '?condition=', true],
    ['1.29', '', false],
    ['1.29', '?condition=removed', false],
    ['1.24', '?condition=nonsense', false],
  ])('API %s %s: the head comes before the end: %s', async (version, query, early) => {
    expect(await waited(version, query)).toEqual({ early, text: '{"StatusCode":137}\n' });
  });

  test.each([
    ['an unknown condition', '/v1.30/containers/made/wait?condition=soon', 400, 'invalid condition: "soon"'],
    ['an unknown container', '/containers/gone/wait', 404, 'No such container: gone'],
  ])('refuses %s', async (_name, path, status, message) => {
    const answer = await post(path);
    expect([answer.status, answer.json]).toEqual([status, refusal(message)]);
  });

  test('one that was never started is not running', async () => {
    expect((await post('/containers/made/wait')).json).toEqual({ StatusCode: 0 });
  });
});

describe('logs', () => {
  const asked = () => cluster.agent.asked.logs.at(-1);
  test.each([
    ['since=1700000000.000000001', { sinceNs: 1_700_000_000_000_000_001n }],
    ['since=1700000000.5', { sinceNs: 1_700_000_000_500_000_000n }],
    ['until=1700000000.25', { untilNs: 1_700_000_000_250_000_000n }],
    ['since=2023-11-14T22:13:20.000000007Z', { sinceNs: 1_700_000_000_000_000_007n }],
    ['since=2023-11-14T22:13:20%2B01:00', { sinceNs: 1_699_996_400_000_000_000n }],
    ['since=0&until=0', { sinceNs: 0n, untilNs: 0n }],
    ['tail=7', { tail: 7n }],
    ['tail=all', { tail: -1n }],
    ['tail=some', { tail: -1n }],
    ['stderr=0', { stdout: true, stderr: false }],
  ])('%s', async (query, want) => {
    expect((await get(`/containers/running/logs?stdout=1&${query}`)).status).toBe(200);
    expect(asked()).toMatchObject(want);
  });

  test('times and details come before each line', async () => {
    await create({ Cmd: ['echo', 'hi'], Tty: true }, 'talker', true);
    const { text } = await get('/containers/talker/logs?stdout=1&timestamps=1&details=1');
    expect(text).toBe('2023-11-14T22:13:20.000000000Z  hi\n');
    expect((await get('/containers/talker/logs?stdout=1&details=1')).text).toBe(' hi\n');
    const Config = { labels: 'tier', env: 'A', tag: '{{.Name}}' };
    const asked = {
      Cmd: ['echo', 'hi'],
      Tty: true,
      Labels: { tier: 'web' },
      Env: ['A=b'],
      HostConfig: { LogConfig: { Config } },
    };
    await create(asked, 'labelled', true);
    const attributes = 'A=b,tag=labelled,tier=web';
    expect((await get('/containers/labelled/logs?stdout=1&details=1')).text).toBe(`${attributes} hi\n`);
    const stamped = await get('/containers/labelled/logs?stdout=1&timestamps=1&details=1');
    expect(stamped.text).toBe(`2023-11-14T22:13:20.000000000Z ${attributes} hi\n`);
    expect((await get('/containers/labelled/logs?stdout=1')).text).toBe('hi\n');
  });

  test.each([
    ['no stream', '', 'you must choose at least one stream'],
    ['a time that is none', 'stdout=1&since=yesterday', '"since"'],
    ['ten decimals', 'stdout=1&until=1.1234567890', '"until"'],
    ['a flag that is none', 'stdout=maybe', '"stdout"'],
  ])('refuses %s', async (_name, query, message) => {
    const answer = await get(`/containers/running/logs?${query}`);
    expect([answer.status, answer.json]).toEqual([400, refusal(message)]);
  });
});

describe('stats', () => {
  test.each([
    ['1.51', 'stream=0', { stream: false, oneShot: false }],
    ['1.51', 'stream=0&one-shot=1', { stream: false, oneShot: true }],
    ['1.41', 'stream=false&one-shot=true', { stream: false, oneShot: true }],
    ['1.40', 'stream=0&one-shot=1', { stream: false, oneShot: false }],
  ])('API %s, %s', async (version, query, want) => {
    const answer = await get(`/v${version}/containers/running/stats?${query}`);
    expect([answer.status, answer.json]).toEqual([200, expect.objectContaining({ name: '/running' })]);
    expect(cluster.agent.asked.stats.at(-1)).toMatchObject(want);
  });

  test('of one that does not run are empty, and asked of nobody', async () => {
    const before = cluster.agent.asked.stats.length;
    const { json } = await get('/containers/made/stats?stream=0');
    expect(json).toMatchObject({ read: '0001-01-01T00:00:00Z', pids_stats: {}, memory_stats: {} });
    expect(cluster.agent.asked.stats.length).toBe(before);
  });

  test('a stream of one sample is refused', async () => {
    const { status, json } = await get('/containers/running/stats?one-shot=1');
    expect([status, json]).toEqual([400, refusal('stream=true and one-shot=true')]);
  });
});

describe('top', () => {
  test.each([
    ['', ''],
    ['?ps_args=-o%20pid,comm', '-o pid,comm'],
    ['?ps_args=aux', 'aux'],
  ])('%j asks ps for %j', async (query, psArgs) => {
    expect((await get(`/containers/running/top${query}`)).json).toEqual({
      Titles: ['PID', 'CMD'],
      Processes: [['1', 'sleep']],
    });
    expect(cluster.agent.asked.top.at(-1)).toMatchObject({ psArgs });
  });

  test('of one that does not run is refused', async () => {
    const { status, json } = await get('/containers/made/top');
    expect([status, json]).toEqual([409, refusal('is not running')]);
  });
});

describe('resize', () => {
  test.each([
    ['h=30&w=90', 200, undefined],
    ['h=0&w=0', 200, undefined],
    ['h=30', 400, '"w"'],
    ['h=x&w=1', 400, '"h"'],
    ['h=-1&w=1', 400, '"h"'],
    ['h=65536&w=1', 400, '"h"'],
    ['h=1.5&w=1', 400, '"h"'],
  ])('%s: %i', async (query, status, message) => {
    const answer = await post(`/containers/running/resize?${query}`);
    expect(answer.status).toBe(status);
    if (message !== undefined) expect(answer.json).toEqual(refusal(message));
  });

  test('of one that does not run is refused', async () => {
    const { status, json } = await post('/containers/made/resize?h=1&w=1');
    expect([status, json]).toEqual([409, refusal('is not running')]);
  });
});

describe('rename', () => {
  test.each([
    ['no name', '', 400, 'may be empty'],
    ['a slash alone', '%2F', 400, 'may be empty'],
    ['one letter', 'a', 400, 'Error when allocating new name: Invalid container name (a)'],
    ['a blank', 'a%20b', 400, 'Invalid container name (a b)'],
    ['its own name', 'made', 400, 'same name as its current name'],
    ['its own name with a slash', '%2Fmade', 400, 'same name as its current name'],
    ["another's name", 'running', 409, 'already in use'],
  ])('to %s is refused', async (_name, name, status, message) => {
    const answer = await post(`/containers/made/rename?name=${name}`);
    expect([answer.status, answer.json]).toEqual([status, refusal(message)]);
  });

  test('and back, with or without a slash', async () => {
    expect((await post('/containers/made/rename?name=%2Frenamed')).status).toBe(204);
    expect((await get('/containers/made/json')).status).toBe(404);
    expect((await post('/containers/renamed/rename?name=made')).status).toBe(204);
    expect((await get('/containers/made/json')).json).toMatchObject({ Name: '/made' });
  });
});

describe('update of the restart policy', () => {
  test.each([
    [{ Name: 'always' }, { name: 'always', maximumRetryCount: 0 }],
    [
      { Name: 'on-failure', MaximumRetryCount: 3 },
      { name: 'on-failure', maximumRetryCount: 3 },
    ],
    [{ Name: 'no' }, { name: 'no', maximumRetryCount: 0 }],
    [{ Name: '' }, undefined],
    [{}, undefined],
  ])('%j', async (RestartPolicy, want) => {
    expect((await post('/containers/made/update', { RestartPolicy })).status).toBe(200);
    expect(cluster.scheduler.updates.at(-1)?.restartPolicy).toEqual(want);
  });

  test.each([
    [{ Name: 'sometimes' }, "unknown policy 'sometimes'"],
    [{ Name: 'always', MaximumRetryCount: 1 }, "only be used with 'on-failure'"],
    [{ Name: 'on-failure', MaximumRetryCount: -1 }, 'cannot be negative'],
    [{ Name: 7 }, 'RestartPolicy.Name'],
  ])('%j is refused', async (RestartPolicy, message) => {
    const before = cluster.scheduler.updates.length;
    const answer = await post('/containers/made/update', { RestartPolicy });
    expect([answer.status, answer.json]).toEqual([400, refusal(message)]);
    expect(cluster.scheduler.updates.length).toBe(before);
  });
});

describe('an exec', () => {
  test('takes everything docker has', async () => {
    const asked = {
      Cmd: ['sh', '-c', 'id'],
      Env: ['A=b', 'GONE'],
      User: 'www:extra',
      WorkingDir: '/srv',
      Privileged: true,
      Tty: true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      ConsoleSize: [24, 80],
      DetachKeys: 'ctrl-a,d',
    };
    expect((await post('/containers/running/exec', asked)).status).toBe(201);
    expect(cluster.agent.asked.execs.at(-1)).toEqual({
      argv: ['sh', '-c', 'id'],
      env: ['A=b', 'GONE'],
      user: 'www:extra',
      cwd: '/srv',
      privileged: true,
      tty: true,
      attachStdin: true,
      attachStdout: true,
      attachStderr: true,
      console: { height: 24, width: 80 },
      detachKeys: 'ctrl-a,d',
    });
  });

  test.each([
    ['no command', { Cmd: [] }, 400, 'No exec command specified'],
    ['a folder that is not absolute', { Cmd: ['a'], WorkingDir: 'tmp' }, 400, "working directory 'tmp' is invalid"],
    ['keys that are none', { Cmd: ['a'], DetachKeys: 'alt-x' }, 400, 'alt-x'],
    ['a size that is none', { Cmd: ['a'], ConsoleSize: [1] }, 400, 'ConsoleSize'],
    ['a size too large', { Cmd: ['a'], ConsoleSize: [1, 65536] }, 400, 'ConsoleSize'],
    ['an environment that is a text', { Cmd: ['a'], Env: 'A=b' }, 400, 'Env'],
    ['an unknown field', { Cmd: ['a'], Nope: true }, 400, 'Nope'],
  ])('with %s is refused', async (_name, body, status, message) => {
    const answer = await post('/containers/running/exec', body);
    expect([answer.status, answer.json]).toEqual([status, refusal(message)]);
  });

  test('in one that does not run is refused', async () => {
    const { status, json } = await post('/containers/made/exec', { Cmd: ['a'] });
    expect([status, json]).toEqual([409, refusal('is not running')]);
  });
});

describe('prune', () => {
  test.each([
    ['an unknown filter', { status: ['exited'] }, "invalid filter 'status'"],
    ['a time that is none', { until: ['soon'] }, '"until"'],
    ['two times', { until: ['1h', '2h'] }, 'more than one'],
    ['no list', { label: 'a' }, 'wants a list of texts'],
  ])('refuses %s and removes nothing', async (_name, filters, message) => {
    const answer = await post(`/containers/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    expect([answer.status, answer.json]).toEqual([400, refusal(message)]);
    expect((await get('/containers/made/json')).status).toBe(200);
  });

  test.each<[string, object, readonly string[]]>([
    ['until before they were made', { until: ['1h'] }, []],
    ['a label', { label: ['keep'] }, ['kept']],
    ['a label and its value', { label: ['tier=web'] }, ['web']],
    ['without a label', { 'label!': ['keep'] }, ['web']],
    ['without a value of a label', { 'label!': ['tier=web'] }, ['kept']],
    ['without two labels of which each has one', { 'label!': ['keep', 'tier'] }, ['kept', 'web']],
    ['without two labels it has both of', { 'label!': ['keep', 'own'] }, ['web']],
    ['several filters', { 'label!': ['keep'], label: ['tier'] }, ['web']],
    ['until now', { until: ['0s'], label: ['own'] }, ['kept', 'web']],
  ])('%s', async (_name, filters, want) => {
    await create({ Labels: { own: '', keep: '1' } }, 'kept');
    await create({ Labels: { own: '', tier: 'web' } }, 'web');
    // "Until now" is not for what was made in this very millisecond.
    await sleep(5);
    const query = encodeURIComponent(
      JSON.stringify({ ...filters, label: [...('label' in filters ? (filters.label as string[]) : []), 'own'] }),
    );
    await post(`/containers/prune?filters=${query}`);
    const left = (await get('/containers/json?all=1')).json as { Names: string[] }[];
    const gone = ['kept', 'web'].filter((name) => !left.some(({ Names }) => Names[0] === `/${name}`));
    expect(gone).toEqual(want);
    for (const name of ['kept', 'web']) await ask(cluster.socketPath, 'DELETE', `/containers/${name}`);
  });
});
