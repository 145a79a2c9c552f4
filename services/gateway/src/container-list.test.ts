import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from './testing/fake-cluster.ts';
import { ask } from './testing/http-client.ts';

let cluster: FakeCluster;
let base: string;
beforeAll(async () => {
  cluster = await startFakeCluster();
  const image = cluster.store.add('base:latest', { config: { Cmd: ['true'] } });
  const child = cluster.store.add('child:1', { config: { Cmd: ['true'] }, author: 'me' });
  const own = child.layers[0];
  if (own) child.layers = [...image.layers, own];
  cluster.store.add('other:latest', { config: { Cmd: ['true'] }, author: 'you' });
  base = image.id;
  for (const [name, Image] of [
    ['on-base', 'base'],
    ['on-child', 'child:1'],
    ['on-other', 'other'],
  ]) {
    const created = await ask(cluster.socketPath, 'POST', `/containers/create?name=${name}`, { Image });
    expect(created.status, created.text).toBe(201);
  }
});
afterAll(() => cluster.stop());

async function list(query: string): Promise<readonly { readonly Names: readonly string[] }[]> {
  const { status, json } = await ask(cluster.socketPath, 'GET', `/containers/json?${query}`);
  expect(status).toBe(200);
  return json as { Names: string[] }[];
}

describe('ancestor', () => {
  test.each<[string, () => readonly string[], readonly string[]]>([
    ['an image, and what was made of it', () => ['base'], ['on-base', 'on-child']],
    ['with its tag', () => ['base:latest'], ['on-base', 'on-child']],
    ['by its id', () => [base], ['on-base', 'on-child']],
    ['by the start of its id', () => [base.slice(7, 19)], ['on-base', 'on-child']],
    ['the image made of it', () => ['child:1'], ['on-child']],
    ['any of several', () => ['child:1', 'other'], ['on-child', 'on-other']],
    ['an unknown one', () => ['nope'], []],
    ['an unknown one and another', () => ['nope', 'other'], ['on-other']],
  ])('%s', async (_name, ancestors, want) => {
    const found = await list(`all=1&filters=${encodeURIComponent(JSON.stringify({ ancestor: ancestors() }))}`);
    expect(found.map(({ Names }) => Names[0]?.slice(1)).sort()).toEqual(want);
  });
});

describe('sizes', () => {
  test('are in the list and in inspect when asked for', async () => {
    const [first] = await list('all=1&size=1&filters={"name":["on-base"]}');
    expect(first).toMatchObject({ SizeRw: 512, SizeRootFs: 612 });
    const { json } = await ask(cluster.socketPath, 'GET', '/containers/on-child/json?size=1');
    expect(json).toMatchObject({ SizeRw: 512, SizeRootFs: 712 });
  });

  test('are left out when not', async () => {
    const [first] = await list('all=1&size=0');
    expect(first).not.toHaveProperty('SizeRw');
    const { json } = await ask(cluster.socketPath, 'GET', '/containers/on-base/json');
    expect(json).not.toHaveProperty('SizeRootFs');
  });
});

test.each([
  ['limit=2', 2],
  ['limit=0&all=1', 3],
  ['limit=-1&all=1', 3],
  ['limit=', 0],
])('%s shows %i', async (query, count) => {
  expect(await list(query)).toHaveLength(count);
});
