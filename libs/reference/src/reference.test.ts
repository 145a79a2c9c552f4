import { describe, expect, test } from 'vitest';
import {
  digestHex,
  familiarString,
  formatReference,
  parseDigest,
  parseReference,
  shortDigest,
  withDefaultTag,
} from './index.ts';

const HEX = 'a'.repeat(64);

describe('good references', () => {
  test.each([
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['index.docker.io/me/app', 'docker.io/me/app', 'me/app'],
    ['me/app', 'docker.io/me/app', 'me/app'],
    ['localhost/app', 'localhost/app', 'localhost/app'],
    ['localhost:5000/app:1', 'localhost:5000/app:1', 'localhost:5000/app:1'],
    ['r.example/a/b/c:x_1', 'r.example/a/b/c:x_1', 'r.example/a/b/c:x_1'],
    ['[::1]:5000/app', '[::1]:5000/app', '[::1]:5000/app'],
    ['EXAMPLE/app', 'EXAMPLE/app', 'EXAMPLE/app'],
    [`busybox@sha256:${HEX}`, `docker.io/library/busybox@sha256:${HEX}`, `busybox@sha256:${HEX}`],
    [`a__b-c.d:t@sha256:${HEX}`, `docker.io/library/a__b-c.d:t@sha256:${HEX}`, `a__b-c.d:t@sha256:${HEX}`],
  ])('%s', (text, full, familiar) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(full);
    expect(familiarString(reference)).toBe(familiar);
    expect(parseReference(full)).toEqual(reference);
    expect(parseReference(familiar)).toEqual(reference);
  });
});

describe('bad references', () => {
  test.each([
    ['', 'invalid reference format'],
    [':tag', 'invalid reference format'],
    ['Busybox', 'must be lowercase'],
    ['a/B', 'must be lowercase'],
    ['a//b', 'invalid reference format'],
    ['a/', 'invalid reference format'],
    ['/a', 'invalid reference format'],
    ['a..b', 'invalid reference format'],
    ['a-', 'invalid reference format'],
    ['-a', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    ['a:-x', 'invalid reference format'],
    [`a:${'t'.repeat(129)}`, 'invalid reference format'],
    ['a@sha256:12', 'invalid reference format'],
    ['a@md5:d41d8cd98f00b204e9800998ecf8427e', 'invalid reference format'],
    ['a b', 'invalid reference format'],
    ['a\n', 'invalid reference format'],
    ['../a', 'invalid reference format'],
    ['r.example:99999999/a', 'invalid reference format'],
    [HEX, 'cannot specify 64-byte hexadecimal strings'],
    ['a'.repeat(300), 'not be more than 255'],
    ['a'.repeat(5000), 'too long'],
  ])('%j', (text, message) => {
    expect(() => parseReference(text)).toThrow(message);
  });
});

test('latest is only for a reference with nothing else', () => {
  expect(withDefaultTag(parseReference('a')).tag).toBe('latest');
  expect(withDefaultTag(parseReference('a:1')).tag).toBe('1');
  expect(withDefaultTag(parseReference(`a@sha256:${HEX}`)).tag).toBeUndefined();
});

describe('digests', () => {
  test('parts', () => {
    expect(digestHex(parseDigest(`sha256:${HEX}`))).toBe(HEX);
    expect(shortDigest(parseDigest(`sha256:${HEX}`))).toBe('aaaaaaaaaaaa');
  });
  test.each([
    ['', 'empty'],
    [HEX, 'no algorithm'],
    [`sha256:${HEX.toUpperCase()}`, 'upper case'],
    [`sha512:${HEX}`, 'other'],
    ['sha256:../../etc/passwd', 'path'],
    [`sha256:${HEX}\n`, 'newline'],
  ])('%j is refused: %s', (text) => {
    expect(() => parseDigest(text)).toThrow('invalid digest');
  });
});
