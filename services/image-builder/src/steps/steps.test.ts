import { absolutePath } from '@atoll/dockerfile';
import { describe, expect, test } from 'vitest';
import { BuildArgs } from './build-args.ts';
import { LayerKeeper } from './layer-keeper.ts';
import { destinationPath } from './paths.ts';

describe('build args', () => {
  const args = (given: Record<string, string>): BuildArgs => BuildArgs.create(given, { TARGETARCH: 'amd64' });
  const none = new Map<string, string>();

  test('count only once declared, the given value before the default', () => {
    const stage = args({ a: 'given' }).forStage();
    expect([...stage.visible(none)]).toEqual([]);
    stage.declare('a', 'default');
    stage.declare('b', 'default');
    stage.declare('c', undefined);
    expect([...stage.visible(none)]).toEqual([
      ['a', 'given'],
      ['b', 'default'],
    ]);
    expect(stage.recorded(none)).toEqual(['a=given', 'b=default']);
  });

  test('ENV of the same name wins', () => {
    const stage = args({ a: 'given' }).forStage();
    stage.declare('a', undefined);
    expect([...stage.visible(new Map([['a', 'env']]))]).toEqual([]);
  });

  test('end with their stage; those before FROM need declaring again', () => {
    const build = args({});
    build.declareMeta('v', '3');
    expect(build.meta.get('v')).toBe('3');
    const one = build.forStage();
    expect(one.visible(none).get('v')).toBeUndefined();
    one.declare('v', undefined);
    expect(one.visible(none).get('v')).toBe('3');
    expect(build.forStage().visible(none).get('v')).toBeUndefined();
  });

  test('a default in the stage wins over one before FROM', () => {
    const build = args({});
    build.declareMeta('v', '3');
    const stage = build.forStage();
    stage.declare('v', '4');
    expect(stage.visible(none).get('v')).toBe('4');
  });

  test('proxies need no ARG and are not recorded without one', () => {
    const stage = args({ http_proxy: 'http://p' }).forStage();
    expect([...stage.visible(none)]).toEqual([['http_proxy', 'http://p']]);
    expect(stage.recorded(none)).toEqual([]);
    stage.declare('http_proxy', undefined);
    expect(stage.recorded(none)).toEqual(['http_proxy=http://p']);
  });

  test('automatic platform args can be declared', () => {
    const stage = args({}).forStage();
    stage.declare('TARGETARCH', undefined);
    expect(stage.visible(none).get('TARGETARCH')).toBe('amd64');
  });

  test('what nobody declared is known', () => {
    const build = args({ z: '1', a: '1', used: '1', NO_PROXY: '', SOURCE_DATE_EPOCH: '0' });
    build.forStage().declare('used', undefined);
    expect(build.unused()).toEqual(['a', 'z']);
  });
});

describe('paths', () => {
  test.each([
    ['', 'a', '/a'],
    ['/w', 'a/../b', '/w/b'],
    ['/w', '/x/', '/x'],
    ['/w', '..', '/'],
    ['/w', '../../..', '/'],
    ['/w', '.', '/w'],
  ])('%j + %s = %s', (base, path, want) => {
    expect(absolutePath(base, path)).toBe(want);
  });
  test.each([
    ['', '/a', '/a'],
    ['', '/a/', '/a/'],
    ['/w', '.', '/w/'],
    ['/w', './', '/w/'],
    ['/w', 'x', '/w/x'],
    ['/w', 'x/.', '/w/x/'],
    ['', '.', '/'],
    ['', '/', '/'],
  ])('destination %j + %s = %s', (workdir, path, want) => {
    expect(destinationPath(workdir, path)).toBe(want);
  });
});

test('layers are asked for again and again while a build runs, whatever the answers', async () => {
  const asked: string[] = [];
  let enough = (): void => undefined;
  const several = new Promise<void>((resolve) => {
    enough = resolve;
  });
  using keeper = new LayerKeeper(async (digest) => {
    if (asked.push(digest) >= 4) enough();
    throw new Error('not now');
  }, 1);
  keeper.add('a');
  keeper.add('b');
  keeper.add('a');
  await several;
  expect(asked.slice(0, 4)).toEqual(['a', 'b', 'a', 'b']);
});
