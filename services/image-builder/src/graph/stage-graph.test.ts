import type { Stage } from '@atoll/dockerfile';
import { parseDockerfile } from '@atoll/dockerfile';
import { describe, expect, test } from 'vitest';
import { planStages, resolveFrom } from './stage-graph.ts';

const stages = (text: string): readonly Stage[] => parseDockerfile(Buffer.from(text)).stages;
const plan = (text: string, target = '') => planStages(stages(text), (stage) => stage.from.image, target);

const DIAMOND = `FROM base AS one
FROM one AS two
FROM one AS three
FROM scratch AS unused
COPY --from=two /x /
FROM other
COPY --from=two /x /
COPY --from=2 /x /
COPY --from=busybox /x /`;

describe('what is needed', () => {
  test.each<[string, string, string, number[]]>([
    ['the last stage and what it reads', DIAMOND, '', [0, 1, 2, 4]],
    ['a target in the middle', DIAMOND, 'two', [0, 1]],
    ['a target by another case', DIAMOND, 'TWO', [0, 1]],
    ['a target by number', DIAMOND, '0', [0]],
    ['a target nobody needs', DIAMOND, 'unused', [0, 1, 3]],
    ['a single stage', 'FROM a', '', [0]],
    ['a chain', 'FROM a AS a\nFROM a AS b\nFROM b', '', [0, 1, 2]],
  ])('%s', (_name, text, target, want) => {
    expect(plan(text, target).needed).toEqual(want);
  });

  test('an unknown target', () => {
    expect(() => plan(DIAMOND, 'nope')).toThrow('failed to reach build target nope in Dockerfile');
    expect(() => plan(DIAMOND, '5')).toThrow('failed to reach build target 5 in Dockerfile');
  });
});

describe('who is meant', () => {
  test.each<[string, object]>([
    ['scratch', { kind: 'scratch' }],
    ['busybox', { kind: 'image', reference: 'busybox' }],
  ])('FROM %s', (name, want) => {
    expect(plan(`FROM ${name}`).stages[0]?.base).toEqual(want);
  });

  test('a stage may be called like an image, its own FROM included', () => {
    expect(plan('FROM busybox AS busybox\nFROM busybox').stages.map(({ base }) => base.kind)).toEqual([
      'image',
      'stage',
    ]);
  });
  test('of two stages of a name the nearer one', () => {
    expect(plan('FROM a AS x\nFROM b AS x\nFROM x').stages[2]?.base).toEqual({ kind: 'stage', index: 1 });
  });
  test('later stages are never meant, so there is no cycle', () => {
    expect(plan('FROM b AS a\nFROM a AS b').stages.map(({ needs }) => needs)).toEqual([[], [0]]);
  });
  test('numbers name earlier stages only', () => {
    const list = stages('FROM a\nFROM b');
    expect(resolveFrom(list, 1, '0', 2)).toEqual({ kind: 'stage', index: 0 });
    expect(() => resolveFrom(list, 1, '1', 2)).toThrow('on line 2: invalid from flag value 1');
    expect(resolveFrom(list, 1, 'repo/img:1', 2)).toEqual({ kind: 'image', reference: 'repo/img:1' });
  });
  test('a blank name is refused', () => {
    expect(() => planStages(stages('FROM $x'), () => '', '')).toThrow('base name ($x) should not be blank');
  });
});
