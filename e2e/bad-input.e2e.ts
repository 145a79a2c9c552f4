import { request } from 'node:http';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';

const [h1 = ''] = inject('hosts');

const created = async (): Promise<string[]> => (await dockerOk(['ps', '-aq', '-f', 'status=created'])).split('\n');
let before: readonly string[];
beforeAll(async () => {
  before = await created();
});

describe('what the docker CLI shows for bad input', () => {
  test.each([
    [
      'an unknown image',
      ['create', 'nosuchimage:1'],
      /No such image|pull access denied|not found|repository does not exist/i,
    ],
    ['a bad image name', ['create', 'Bad//Name'], /invalid reference format/],
    [
      'a memory limit that is too small',
      ['create', '-m', '1', 'busybox', 'true'],
      /Minimum memory limit allowed is 6MB/,
    ],
    ['an unknown container', ['start', 'no-such-container'], /No such container: no-such-container/],
    ['an unknown signal', ['kill', '-s', 'SIGNOPE', 'no-such-container'], /No such container|Invalid signal/i],
    ['a bad restart policy', ['create', '--restart', 'sometimes', 'busybox', 'true'], /invalid restart policy/i],
    [
      'a constraint no host fits',
      ['create', '-l', 'atoll.constraints=node.hostname==nowhere', 'busybox', 'true'],
      /no suitable node.*3/s,
    ],
    ['more memory than any host has', ['create', '-m', '900g', 'busybox', 'true'], /no suitable node.*memory/s],
  ])('%s', async (_name, args, message) => {
    const result = await docker(args);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(message);
  });

  test('a name in use', async () => {
    await using container = await runOn(h1, [], ['sleep', '600']);
    const result = await docker(['create', '--name', container.name, 'busybox', 'true']);
    expect(result.stderr).toContain(`The container name "/${container.name}" is already in use by container`);
  });

  test('one name asked for many times at once has one winner', async () => {
    await using container = new TestContainer(unique('race'));
    const tries = await Promise.all(
      Array.from({ length: 8 }, () => docker(['create', '--name', container.name, 'busybox', 'true'])),
    );
    expect(tries.filter((result) => result.code === 0).length).toBe(1);
  });

  test('nothing was created by any of it', async () => {
    expect((await created()).filter((id) => !before.includes(id))).toEqual([]);
  });
});

describe('what the API answers', () => {
  test.each([
    ['malformed JSON', 'POST', '/v1.51/containers/create', '{"Image": ', 400],
    ['a wrong type', 'POST', '/v1.51/containers/create', '{"Image": 5}', 400],
    ['a body that is no object', 'POST', '/v1.51/containers/create', '[]', 400],
    ['a second document', 'POST', '/v1.51/containers/create', '{"Image":"busybox"}{"Image":"x"}', 400],
    ['a version from the future', 'GET', '/v9.99/info', '', 400],
    ['a version from the past', 'GET', '/v1.1/info', '', 400],
    ['an unknown path', 'GET', '/v1.51/nowhere', '', 404],
    ['a bad filter', 'GET', '/v1.51/containers/json?filters=%7B', '', 400],
    ['a bad name', 'POST', '/v1.51/containers/create?name=..%2Fx', '{"Image":"busybox"}', 400],
    ['what is not built', 'POST', '/v1.51/swarm/init', '{}', 501],
  ])('%s', async (_name, method, path, body, status) => {
    const answer = await api(method, path, body);
    expect(answer.status, answer.body).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ message: expect.any(String) });
  });
});

function api(method: string, path: string, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socketPath = inject('dockerHost').replace('unix://', '');
    const call = request({ socketPath, method, path, headers: { 'Content-Type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    call.on('error', reject);
    call.end(body);
  });
}
