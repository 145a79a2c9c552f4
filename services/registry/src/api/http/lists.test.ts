import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, ask as request } from '../../testing/ask.ts';
import { type MadeImage, makeImage, pushImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';

let registry: TestRegistry;
let base: string;
let image: MadeImage;
beforeAll(async () => {
  registry = await startRegistry();
  base = registry.http;
  image = await makeImage();
});
afterAll(() => registry?.stop());

const ask = (method: string, path: string, init?: RequestInit) => request(base, method, path, init);

describe('lists', () => {
  test('tags come in pages that lose none', async () => {
    const tags = ['a', 'a-b', 'a.b', 'aa', 'b', 'c1', 'c10', 'c2'];
    for (const tag of tags) await pushImage(base, 'pages', tag, image);
    const seen: string[] = [];
    let path: string | undefined = '/v2/pages/tags/list?n=3';
    while (path !== undefined) {
      const { body, headers }: Answer = await ask('GET', path);
      seen.push(...JSON.parse(body.toString()).tags);
      path = /<([^>]+)>/.exec(headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual([...tags].sort());
    expect(JSON.parse((await ask('GET', '/v2/pages/tags/list?n=0')).body.toString()).tags).toEqual([]);
    expect(JSON.parse((await ask('GET', '/v2/pages/tags/list?n=99999999')).body.toString()).tags).toHaveLength(8);
  });

  test('the catalog names repositories as clients do', async () => {
    await pushImage(base, 'plain', 'v', image);
    await pushImage(base, 'with/slash', 'v', image);
    await pushImage(base, 'registry.example/a', 'v', image);
    const { repositories } = JSON.parse((await ask('GET', '/v2/_catalog')).body.toString());
    expect(repositories).toEqual(expect.arrayContaining(['plain', 'with/slash', 'registry.example/a']));
    const images = await (await registry.images()).listImages({ all: true, filters: {} });
    const names = images.images.flatMap((one) => one.repoTags);
    expect(names).toEqual(expect.arrayContaining(['plain:v', 'with/slash:v', 'registry.example/a:v']));
  });
});
