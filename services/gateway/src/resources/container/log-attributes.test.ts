import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { logAttributes, tagFault } from './log-attributes.ts';

const ID = 'ab'.repeat(32);

function attributes(config: Record<string, string>): string {
  const spec = containerV1.ContainerSpec.fromPartial({
    name: 'web',
    labels: { tier: 'front', 'com.example.a': 'b c', 'com.example.b': 'd,e=f' },
    process: { env: ['PATH=/bin', 'A=1=2', 'AB=', 'NONE'] },
    image: { imageId: 'sha256:0123456789', reference: 'app:1' },
    log: { type: 'json-file', config },
  });
  return logAttributes({ id: ID, spec });
}

describe('attributes of a log', () => {
  test.each([
    ['none asked', {}, ''],
    ['labels by name', { labels: 'tier,missing' }, 'tier=front'],
    [
      'labels by pattern, escaped and sorted',
      { 'labels-regex': '^com\\.' },
      'com.example.a=b+c,com.example.b=d%2Ce%3Df',
    ],
    ['both', { labels: 'tier', 'labels-regex': 'example\\.a$' }, 'com.example.a=b+c,tier=front'],
    ['variables', { env: 'A,AB,NONE' }, 'A=1%3D2,AB='],
    ['variables by pattern', { 'env-regex': '^(A|P)' }, 'A=1%3D2,AB=,PATH=%2Fbin'],
    ['an empty pattern is none', { 'env-regex': '', labels: '' }, ''],
    ['a tag', { tag: '{{.Name}}/{{ .ID }}' }, `tag=web%2F${ID.slice(0, 12)}`],
    [
      'a tag of the image',
      { tag: '{{.ImageName}} {{.ImageID}} {{.ImageFullID}}' },
      'tag=app%3A1+sha256%3A01234+sha256%3A0123456789',
    ],
    ['a tag that is text', { tag: "it's (fine)!*" }, 'tag=it%27s+%28fine%29%21%2A'],
  ])('%s', (_name, config, want) => {
    expect(attributes(config as Record<string, string>)).toBe(want);
  });

  test.each(['{{.Nope}}', '{{upper .Name}}', '{{.Name', '{{.constructor}}'])('the tag %j is refused', (tag) => {
    expect(tagFault(tag)).toContain('{{.ImageName}}');
  });
});
