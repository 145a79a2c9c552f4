import { OPERATION_IDS, OPERATIONS } from '@atoll/docker-api';
import { reasonOf } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import type { RequestContext } from './request-context.ts';
import { RouteTable } from './route-table.ts';
import { splitVersion } from './version-prefix.ts';

const context = {} as RequestContext;

describe('every operation of the description', () => {
  const table = new RouteTable({});
  test.each(OPERATION_IDS)('%s is routed and, when missing, says so', async (operation) => {
    const { method, path } = OPERATIONS[operation];
    const match = table.match(method, path.replace(/\{(\w+)\}/g, 'x'));
    const error = await match?.handler(context).catch((thrown: unknown) => thrown);
    expect(reasonOf(error)).toBe('unimplemented');
    expect((error as Error).message).toBe(`${method} ${path} is not built yet: ${operation}`);
  });
});

describe('variables', () => {
  const seen: string[] = [];
  const note = (name: string) => async () => {
    seen.push(name);
  };
  const table = new RouteTable({
    ImageInspect: note('inspect'),
    ImageList: note('list'),
    ImageHistory: note('history'),
    ContainerInspect: note('container'),
    ImageGetAll: note('get all'),
    ImageGet: note('get'),
  });
  test.each([
    ['/images/json', 'list', {}],
    ['/images/busybox/json', 'inspect', { name: 'busybox' }],
    ['/images/reg.example:5000/a/b/json', 'inspect', { name: 'reg.example:5000/a/b' }],
    ['/images/a%2Fb/history', 'history', { name: 'a/b' }],
    ['/images/get', 'get all', {}],
    ['/images/json/get', 'get', { name: 'json' }],
    ['/containers/a%20b/json', 'container', { id: 'a b' }],
  ])('%s', async (path, handler, params) => {
    const match = table.match('GET', path);
    await match?.handler(context);
    expect(seen.at(-1)).toBe(handler);
    expect(match?.params).toEqual(params);
  });
  test.each([
    ['POST', '/images/json'],
    ['GET', '/containers//json'],
    ['GET', '/nothing'],
    ['GET', '/'],
    ['GET', '/containers/a/json/b'],
  ])('%s %s is nothing', (method, path) => {
    expect(table.match(method, path)).toBeUndefined();
  });
});

describe('versions in the path', () => {
  test.each([
    ['/v1.24/info', { version: { major: 1, minor: 24 }, path: '/info' }],
    ['/v1.51/info', { version: { major: 1, minor: 51 }, path: '/info' }],
    ['/info', { version: { major: 1, minor: 51 }, path: '/info' }],
    ['/version', { version: { major: 1, minor: 51 }, path: '/version' }],
  ])('%s', (path, want) => {
    expect(splitVersion(path)).toEqual(want);
  });
  test.each([
    ['/v1.52/info', 'client version 1.52 is too new. Maximum supported API version is 1.51'],
    ['/v1.23/info', 'client version 1.23 is too old. Minimum supported API version is 1.24'],
    ['/v1.x/info', 'invalid API version "1.x"'],
  ])('%s is refused', (path, message) => {
    expect(() => splitVersion(path)).toThrow(message);
  });
});
