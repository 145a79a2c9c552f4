import type { Digest } from '@atoll/reference';
import { describe, expect, test } from 'vitest';
import { formatKey, parseKey, type RecordKey } from './record-key.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}` as Digest;

describe('keys', () => {
  test.each<[string, RecordKey]>([
    ['an image', { kind: 'image', id: digest }],
    ['a tag', { kind: 'tag', repository: 'docker.io/library/busybox', tag: '1.36' }],
    ['a port', { kind: 'tag', repository: 'localhost:5000/a', tag: 'latest' }],
    ['all that subjects must not have', { kind: 'tag', repository: 'a.*>/ =ß', tag: '*' }],
    ['a manifest', { kind: 'manifest', repository: 'a.b/c', digest }],
    ['a blob', { kind: 'blob', repository: 'a.b/c', digest }],
    ['the store', { kind: 'store' }],
  ])('%s survives the trip', (_name, key) => {
    const text = formatKey(key);
    expect(text).toMatch(/^[-_=a-zA-Z0-9]+(?:\.[-_=a-zA-Z0-9]+)+$/);
    expect(parseKey(text)).toEqual(key);
  });

  test('keys of a later version are left alone', () => {
    expect(parseKey('policy.x')).toBeUndefined();
  });
});
