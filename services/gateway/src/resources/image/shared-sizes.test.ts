import { imageV1 } from '@atoll/proto';
import { expect, test } from 'vitest';
import { sharedSizes } from './shared-sizes.ts';

const image = (id: string, ...layers: readonly (readonly [string, bigint])[]): imageV1.Image =>
  imageV1.Image.fromPartial({ id, layers: layers.map(([diffId, size]) => ({ diffId, size })) });

test('layers that several images have are shared by each of them', () => {
  const base = ['base', 100n] as const;
  const sizes = sharedSizes([
    image('a', base),
    image('b', base, ['own', 7n]),
    image('twice', ['same', 3n], ['same', 3n]),
    image('alone', ['other', 5n]),
    image('empty'),
  ]);
  expect(Object.fromEntries(sizes)).toEqual({ a: 100, b: 100, twice: 0, alone: 0, empty: 0 });
});
