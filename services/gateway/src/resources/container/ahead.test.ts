import { conflict, notFound } from '@atoll/errors';
import { imageV1 } from '@atoll/proto';
import { expect, test } from 'vitest';
import type { ResolvedImage } from '../image/resolved-image.ts';
import { ahead } from './ahead.ts';

const image = (id: string): ResolvedImage => ({
  image: imageV1.Image.fromPartial({ id, manifestDigest: `manifest of ${id}` }),
  config: {},
});
const fails = (error: Error) => (): never => {
  throw error;
};

test.each<{
  name: string;
  certain: () => ResolvedImage;
  create?: (id: string) => string;
  undo?: () => void;
  outcome: string;
  steps: readonly string[];
}>([
  {
    name: 'what was likely is so',
    certain: () => image('old'),
    outcome: 'container of old',
    steps: ['create old'],
  },
  {
    name: 'the name means another image by now',
    certain: () => image('new'),
    outcome: 'container of new',
    steps: ['create old', 'undo container of old', 'create new'],
  },
  {
    name: 'the name means nothing any more',
    certain: fails(notFound('No such image: x')),
    outcome: 'Error: No such image: x',
    steps: ['create old', 'undo container of old'],
  },
  {
    name: 'what was likely cannot be created',
    certain: () => image('old'),
    create: fails(conflict('the name is in use')),
    outcome: 'Error: the name is in use',
    steps: [],
  },
  {
    name: 'nor is it so',
    certain: fails(notFound('No such image: x')),
    create: fails(conflict('the name is in use')),
    outcome: 'Error: No such image: x',
    steps: [],
  },
  {
    name: 'what was made cannot be undone',
    certain: () => image('new'),
    undo: fails(conflict('the host is down')),
    outcome: 'Error: the host is down',
    steps: ['create old'],
  },
])('$name', async ({ certain, create, undo, outcome, steps }) => {
  const taken: string[] = [];
  const made = ahead({
    likely: image('old'),
    certain: (async () => certain())(),
    create: async ({ image: { id } }) => {
      create?.(id);
      taken.push(`create ${id}`);
      return `container of ${id}`;
    },
    undo: async (container) => {
      undo?.();
      taken.push(`undo ${container}`);
    },
  });
  expect(await made.catch((error: Error) => `Error: ${error.message}`)).toBe(outcome);
  expect(taken).toEqual(steps);
});
