import { describe, expect, test } from 'vitest';
import { buildOptions } from './build-options.ts';

describe('the host of a build', () => {
  test.each([
    ['any', {}, []],
    ['one chosen by a label of the request', { 'atoll.constraints': 'node.hostname==h2' }, ['node.hostname==h2']],
  ])('%s', (_name, labels, constraints) => {
    const query = new URLSearchParams({ version: '1', labels: JSON.stringify(labels) });
    expect(buildOptions(query, new Map()).constraints).toEqual(constraints);
  });
});
