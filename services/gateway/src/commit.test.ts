import { containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from './testing/fake-cluster.ts';
import { ask } from './testing/http-client.ts';

const LAYER = containerV1.Layer.fromPartial({
  digest: `sha256:${'1'.repeat(64)}`,
  diffId: `sha256:${'2'.repeat(64)}`,
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  size: 10n,
});

let cluster: FakeCluster;
let base: string;
beforeAll(async () => {
  cluster = await startFakeCluster();
  const history = [{ created: '2026-01-01T00:00:00Z', created_by: 'ADD root' }];
  base = cluster.store.add('busybox:latest', { config: { Cmd: ['sh'], Env: ['PATH=/bin'] }, history }).id;
  const created = await post('/containers/create?name=source', { Image: 'busybox', Cmd: ['sleep'] });
  expect(created.status, created.text).toBe(201);
});
afterAll(() => cluster.stop());

const post = (path: string, body?: object) => ask(cluster.socketPath, 'POST', path, body);

describe('a commit', () => {
  test('makes an image of the container on top of its own, with a line of history, and tells of it', async () => {
    cluster.agent.written = LAYER;
    const before = cluster.told.length;
    const query = 'container=source&repo=me/app&tag=1&author=Me&comment=why&changes=ENV%20A%3Db&changes=USER%20www';
    const { status, json } = await post(`/commit?${query}`);
    expect(status).toBe(201);
    expect(cluster.agent.commits.at(-1)).toMatchObject({ pause: true });
    const made = cluster.store.created.at(-1);
    expect(made).toMatchObject({ parent: base, tags: ['docker.io/me/app:1'], layers: [{ diffId: base }, LAYER] });
    expect(JSON.parse(made?.config.toString() ?? '')).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      author: 'Me',
      config: { Cmd: ['sleep'], Env: ['PATH=/bin', 'A=b'], User: 'www' },
      rootfs: { type: 'layers', diff_ids: [base, LAYER.diffId] },
      history: [{ created_by: 'ADD root' }, { created_by: 'sleep', author: 'Me', comment: 'why' }],
    });
    const { Id } = json as { Id: string };
    expect(cluster.told.slice(before)).toMatchObject([
      {
        type: 'container',
        action: 'commit',
        attributes: { name: 'source', comment: 'why', imageID: Id, imageRef: 'me/app:1', 'atoll.node': 'h1' },
      },
    ]);
  });

  test('of a container that wrote nothing has no layer of its own', async () => {
    cluster.agent.written = undefined;
    expect((await post('/commit?container=source&pause=0')).status).toBe(201);
    expect(cluster.agent.commits.at(-1)).toMatchObject({ pause: false });
    const made = cluster.store.created.at(-1);
    expect([made?.layers.length, made?.tags]).toEqual([1, []]);
    const document = JSON.parse(made?.config.toString() ?? '') as { history: object[]; rootfs: object };
    expect(document.history.at(-1)).toMatchObject({ empty_layer: true });
    expect(document.rootfs).toEqual({ type: 'layers', diff_ids: [base] });
  });

  test.each<[string, string, unknown]>([
    ['no body', '', undefined],
    ['null, as the command line sends it', '', 'null'],
    ['an empty object', '', {}],
  ])('with %s takes the container as it is', async (_name, _query, body) => {
    const text = typeof body === 'string' ? body : body && JSON.stringify(body);
    const headers = { 'content-type': 'application/json' };
    const { status } = await ask(cluster.socketPath, 'POST', '/commit?container=source', text as string, headers);
    expect(status).toBe(201);
    const document = JSON.parse(cluster.store.created.at(-1)?.config.toString() ?? '') as { config: object };
    expect(document.config).toMatchObject({ Cmd: ['sleep'], Env: ['PATH=/bin'] });
  });

  test.each<[string, string, object | undefined, number, string]>([
    ['no container', '', undefined, 400, '"container"'],
    ['an unknown container', 'container=nope', undefined, 404, 'No such container: nope'],
    ['a name with capitals', 'container=source&repo=BAD', undefined, 400, 'lowercase'],
    ['a bad tag', 'container=source&repo=a&tag=/', undefined, 400, 'invalid'],
    ['a digest', `container=source&repo=a@sha256:${'1'.repeat(64)}`, undefined, 400, 'digest'],
    [
      'a change that is none',
      'container=source&changes=RUN%20true',
      undefined,
      400,
      'RUN is not a valid change command',
    ],
    ['a malformed change', 'container=source&changes=EXPOSE%20x', undefined, 400, 'invalid containerPort: x'],
    ['a flag that is none', 'container=source&pause=maybe', undefined, 400, '"pause"'],
    ['a field of the wrong type', 'container=source', { Env: 'x' }, 400, 'Env'],
    ['an unknown field', 'container=source', { Nope: 1 }, 400, 'Nope'],
  ])('is refused before anything happens: %s', async (_name, query, body, status, message) => {
    const [commits, images] = [cluster.agent.commits.length, cluster.store.created.length];
    const answer = await post(`/commit?${query}`, body);
    expect([answer.status, (answer.json as { message: string }).message]).toEqual([
      status,
      expect.stringContaining(message),
    ]);
    expect([cluster.agent.commits.length, cluster.store.created.length]).toEqual([commits, images]);
  });
});
