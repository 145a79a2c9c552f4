import { describe, expect, test } from 'vitest';
import { isKillSignal, signalNumber } from './signals.ts';

describe('signals as docker takes them', () => {
  test.each([
    ['SIGTERM', 15],
    ['term', 15],
    ['KILL', 9],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
    ['RTMIN', 34],
    ['64', 64],
  ])('%s is %d', (text, number) => {
    expect(signalNumber(text)).toBe(number);
  });
  test.each(['', 'NOPE', '0', '65', 'SIGRTMIN-1', 'SIGRTMAX+1', '-9', '9 ', 'constructor'])('%j is none', (text) => {
    expect(() => signalNumber(text)).toThrow(`Invalid signal: ${text}`);
  });
});

test.each([
  ['KILL', '', true],
  ['TERM', '', true],
  ['15', '', true],
  ['HUP', '', false],
  ['QUIT', 'SIGQUIT', true],
  ['TERM', 'SIGQUIT', false],
])('kill with %s, stop signal %j: stays down %s', (signal, stopSignal, want) => {
  expect(isKillSignal(signal, stopSignal)).toBe(want);
});
