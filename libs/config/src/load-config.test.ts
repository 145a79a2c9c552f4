import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { address, addressList, flag, loadConfig, pairs, positiveInteger } from './index.ts';

const schema = z.object({
  ATOLL_LISTEN: address,
  ATOLL_PEERS: addressList.optional(),
  ATOLL_MIRRORS: pairs.optional(),
  ATOLL_LIMIT: positiveInteger.default(7),
  ATOLL_FLAG: flag.default(false),
});

describe('good environments', () => {
  test.each([
    ['defaults', { ATOLL_LISTEN: '127.0.0.1:0' }, { ATOLL_LIMIT: 7, ATOLL_FLAG: false }],
    ['empty is unset', { ATOLL_LISTEN: 'h:1', ATOLL_LIMIT: '' }, { ATOLL_LIMIT: 7 }],
    ['lists', { ATOLL_LISTEN: 'h:1', ATOLL_PEERS: 'a:1, b:2' }, { ATOLL_PEERS: ['a:1', 'b:2'] }],
    [
      'pairs',
      { ATOLL_LISTEN: 'h:1', ATOLL_MIRRORS: 'docker.io=http://m:5000' },
      { ATOLL_MIRRORS: { 'docker.io': 'http://m:5000' } },
    ],
    ['IPv6', { ATOLL_LISTEN: '[::1]:80', ATOLL_FLAG: 'true' }, { ATOLL_LISTEN: '[::1]:80', ATOLL_FLAG: true }],
  ])('%s', (_name, environment, want) => {
    const config = loadConfig(schema, environment);
    expect(config).toMatchObject(want);
    expect(Object.isFrozen(config)).toBe(true);
  });
});

describe('bad environments name the variable and not its value', () => {
  test.each([
    ['missing', {}, 'ATOLL_LISTEN'],
    ['no port', { ATOLL_LISTEN: 'secret-host' }, 'ATOLL_LISTEN'],
    ['one bad peer', { ATOLL_LISTEN: 'h:1', ATOLL_PEERS: 'a:1,secret-b' }, 'ATOLL_PEERS'],
    ['a name twice', { ATOLL_LISTEN: 'h:1', ATOLL_MIRRORS: 'a=secret,a=c' }, 'ATOLL_MIRRORS'],
    ['not a number', { ATOLL_LISTEN: 'h:1', ATOLL_LIMIT: 'secret' }, 'ATOLL_LIMIT'],
  ])('%s', (_name, environment, variable) => {
    let message = '';
    try {
      loadConfig(schema, environment);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain(variable);
    expect(message).not.toContain('secret');
  });
});
