import { describe, expect, test } from 'vitest';
import { decodeAuthHeader, decodeAuthMap, parseAuthConfig } from './auth-config.ts';
import { isContainerName, randomContainerName } from './container-name.ts';
import { encodePathStat } from './container-path-stat.ts';
import { humanDuration } from './human-duration.ts';
import { encodeJsonMessage, errorMessage } from './json-message.ts';
import { formatPort, parsePort, parsePortRange } from './port.ts';
import { signalNumber } from './signal.ts';
import { stdcopyHeader } from './stdcopy.ts';

test.each([
  [0.2, 'Less than a second'],
  [1, '1 second'],
  [59, '59 seconds'],
  [60, 'About a minute'],
  [125, '2 minutes'],
  [3600, 'About an hour'],
  [7200, '2 hours'],
  [3 * 86_400, '3 days'],
  [15 * 86_400, '2 weeks'],
  [70 * 86_400, '2 months'],
  [900 * 86_400, '2 years'],
])('%d seconds are "%s"', (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text);
});

test('a frame is header and data', () => {
  expect([...stdcopyHeader('stderr', 258)]).toEqual([2, 0, 0, 0, 0, 0, 1, 2]);
});

describe('ports', () => {
  test.each([
    ['80', { port: 80, protocol: 'tcp' }],
    ['53/udp', { port: 53, protocol: 'udp' }],
    ['53/UDP', { port: 53, protocol: 'udp' }],
  ])('%s', (text, want) => {
    expect(parsePort(text, 'field')).toEqual(want);
  });
  test.each(['', '0', '65536', '80/icmp', 'http', '80/tcp/udp', '-1'])('%j is refused', (text) => {
    expect(() => parsePort(text, 'field')).toThrow('field');
  });
  test('a range', () => {
    expect(parsePortRange('8000-8002/udp', 'field').map(formatPort)).toEqual(['8000/udp', '8001/udp', '8002/udp']);
    expect(() => parsePortRange('8002-8000', 'field')).toThrow('invalid range');
  });
});

describe('credentials', () => {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  test('of a header', () => {
    expect(decodeAuthHeader(encode({ username: 'u', password: 'p', serveraddress: 's' }))).toEqual({
      username: 'u',
      password: 'p',
      identityToken: '',
      registryToken: '',
      serverAddress: 's',
    });
  });
  test('packed in one field', () => {
    const auth = parseAuthConfig({ auth: Buffer.from('u:p:q').toString('base64') }, 'x');
    expect([auth.username, auth.password]).toEqual(['u', 'p:q']);
  });
  test('of several registries', () => {
    expect(decodeAuthMap(encode({ 'r:5000': { username: 'u' } })).get('r:5000')?.username).toBe('u');
  });
  test.each([
    ['no JSON', 'aGFsbG8'],
    ['a list', encode([])],
    ['a number as a name', encode({ username: 1 })],
  ])('%s is refused', (_name, header) => {
    expect(() => decodeAuthHeader(header)).toThrow('X-Registry-Auth');
  });
  test('none', () => {
    expect(decodeAuthHeader(undefined).username).toBe('');
  });
});

describe('names', () => {
  test.each(['web', '/web', 'a1', 'A_b.c-d'])('%s is good', (name) => {
    expect(isContainerName(name)).toBe(true);
  });
  test.each(['', 'a', '-a', 'a b', 'ä1', 'a/b', '//a', 'a'.repeat(257)])('%j is not', (name) => {
    expect(isContainerName(name)).toBe(false);
  });
  test('a random one is good and gets a digit after a collision', () => {
    const zero = (): number => 0;
    expect(isContainerName(randomContainerName(zero))).toBe(true);
    expect(randomContainerName(zero, 1)).toMatch(/^[a-z]+_[a-z]+\d$/);
    expect(randomContainerName(() => 0.999_999)).toMatch(/^[a-z]+_[a-z]+$/);
  });
});

test.each([
  ['KILL', 9],
  ['SIGTERM', 15],
  ['sigusr1', 10],
  ['9', 9],
  ['RTMIN+3', 37],
  ['SIGRTMAX-1', 63],
  ['NOPE', undefined],
  ['0', undefined],
  ['65', undefined],
  ['', undefined],
])('signal %s is %s', (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

test('progress messages are lines', () => {
  expect(encodeJsonMessage({ status: 'a' })).toBe('{"status":"a"}\r\n');
  expect(errorMessage('no', 3)).toEqual({ errorDetail: { code: 3, message: 'no' }, error: 'no' });
});

test('a path stat is base64 of JSON', () => {
  const stat = { name: 'a', size: 1, mode: 0o644, mtime: 'x', linkTarget: '' };
  expect(JSON.parse(Buffer.from(encodePathStat(stat), 'base64').toString())).toEqual(stat);
});
