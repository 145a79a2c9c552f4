import { conflict, unavailable } from '@atoll/errors';
import type { Channel } from '@atoll/rpc';
import { describe, expect, test } from 'vitest';
import { LeaderCaller } from './leader-caller.ts';

/** Channels whose clients are the addresses themselves. */
const pool = { get: (address: string) => ({ client: () => ({ address }) }) as unknown as Channel };
const signal = new AbortController().signal;

function caller(answers: Readonly<Record<string, (() => string)[]>>) {
  const asked: string[] = [];
  const made = new LeaderCaller(['a:1', 'b:1'], pool);
  const call = () =>
    made.call(async (client) => {
      const { address } = client as unknown as { address: string };
      asked.push(address);
      const next = answers[address]?.length === 1 ? answers[address]?.[0] : answers[address]?.shift();
      if (next === undefined) throw unavailable('nobody there');
      return next();
    }, signal);
  return { asked, call };
}

const leads = (): string => 'done';
const points = (leader: string) => (): never => {
  throw unavailable('not the leader', { details: { leader } });
};

describe('a call', () => {
  test('goes to the replica that leads, and stays there', async () => {
    const { asked, call } = caller({ 'a:1': [points('c:1')], 'c:1': [leads] });
    expect(await call()).toBe('done');
    expect(await call()).toBe('done');
    expect(asked).toEqual(['a:1', 'c:1', 'c:1']);
  });
  test('tries the next replica when one is away', async () => {
    const { asked, call } = caller({ 'b:1': [leads] });
    expect(await call()).toBe('done');
    expect(asked).toEqual(['a:1', 'b:1']);
  });
  test('waits for a new leader', async () => {
    const { asked, call } = caller({ 'a:1': [points(''), leads], 'b:1': [points('')] });
    expect(await call()).toBe('done');
    expect(asked).toEqual(['a:1', 'b:1', 'a:1']);
  });
  test('does not repeat what was refused', async () => {
    const refuse = (): never => {
      throw conflict('in use');
    };
    const { asked, call } = caller({ 'a:1': [refuse] });
    await expect(call()).rejects.toThrow('in use');
    expect(asked).toEqual(['a:1']);
  });
});
