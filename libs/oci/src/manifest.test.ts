import { reasonOf } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import { MEDIA_TYPES, parseImageConfig, parseManifest, referencesOf, serializeManifest } from './index.ts';

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const digest = (char: string) => `sha256:${char.repeat(64)}`;
const config = { mediaType: MEDIA_TYPES.ociConfig, digest: digest('a'), size: 2 };
const layer = { mediaType: MEDIA_TYPES.ociLayerGzip, digest: digest('b'), size: 3 };
const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [layer] };
const index = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociIndex,
  manifests: [{ ...layer, platform: { os: 'linux', architecture: 'amd64' } }],
};

const reason = (work: () => unknown): string => {
  try {
    work();
    return 'none';
  } catch (error) {
    return `${reasonOf(error)}: ${(error as Error).message}`;
  }
};

describe('manifests that are fine', () => {
  test.each([
    ['OCI', manifest, undefined, 'manifest'],
    ['OCI without its own media type', { ...manifest, mediaType: undefined }, undefined, 'manifest'],
    [
      'named by the transport',
      { ...manifest, mediaType: undefined },
      `${MEDIA_TYPES.dockerManifest}; charset=utf-8`,
      'manifest',
    ],
    ['Docker', { ...manifest, mediaType: MEDIA_TYPES.dockerManifest }, MEDIA_TYPES.dockerManifest, 'manifest'],
    [
      'Go writes nothing as null',
      { ...manifest, layers: null, annotations: null, subject: null },
      undefined,
      'manifest',
    ],
    ['an index', index, undefined, 'index'],
    ['an index without media type', { ...index, mediaType: undefined }, undefined, 'index'],
    ['fields of later versions', { ...manifest, future: { layers: 1 } }, undefined, 'manifest'],
  ])('%s', (_name, value, contentType, kind) => {
    expect(parseManifest(bytes(value), contentType).kind).toBe(kind);
  });

  test('what is parsed and written has the same meaning', () => {
    const parsed = parseManifest(bytes(manifest));
    if (parsed.kind !== 'manifest') throw new Error('wrong kind');
    expect(parseManifest(serializeManifest(parsed))).toEqual(parsed);
    expect(referencesOf(parsed).map((descriptor) => descriptor.digest)).toEqual([digest('a'), digest('b')]);
  });
});

describe('manifests that are refused', () => {
  test.each<[string, unknown, string | undefined, RegExp]>([
    ['not JSON', '{"schemaVersion":2', undefined, /not JSON/],
    ['not UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), undefined, /not UTF-8/],
    ['a byte order mark', '\u{feff}{}', undefined, /byte order mark/],
    ['null', 'null', undefined, /not a JSON object/],
    ['a string', '"x"', undefined, /not a JSON object/],
    ['both kinds', { ...manifest, manifests: [] }, undefined, /both "manifests" and/],
    ['both kinds, config', { ...index, config }, undefined, /both "manifests" and/],
    ['a key twice', '{"schemaVersion":2,"config":1,"config":2}', undefined, /"config" appears twice/],
    ['a key twice, once escaped', '{"layers":[],"l\\u0061yers":[]}', undefined, /appears twice/],
    ['a key in another case', { ...manifest, Layers: [] }, undefined, /"Layers" must be "layers"/],
    ['a prototype', '{"__proto__":{"x":1}}', undefined, /__proto__/],
    ['an escaped prototype', '{"\\u005f_proto__":{}}', undefined, /__proto__/],
    ['65 levels', `${'[['.repeat(33)}`, undefined, /nested deeper/],
    ['another type than the transport says', manifest, MEDIA_TYPES.dockerManifest, /Content-Type says/],
    ['an unknown type', { ...manifest, mediaType: 'text/html' }, undefined, /unknown media type/],
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, undefined, /schema 1/],
    ['version 3', { ...manifest, schemaVersion: 3 }, undefined, /schemaVersion/],
    ['no config', { ...manifest, config: undefined }, undefined, /config/],
    ['a size below zero', { ...manifest, config: { ...config, size: -1 } }, undefined, /config\.size/],
    ['a size with a fraction', { ...manifest, config: { ...config, size: 1.5 } }, undefined, /config\.size/],
    ['a size beyond exact numbers', { ...manifest, config: { ...config, size: 2 ** 60 } }, undefined, /config\.size/],
    [
      'a digest with a path',
      { ...manifest, layers: [{ ...layer, digest: 'sha256:../../x' }] },
      undefined,
      /layers\.0\.digest/,
    ],
    ['md5', { ...manifest, layers: [{ ...layer, digest: `md5:${'a'.repeat(32)}` }] }, undefined, /layers\.0\.digest/],
    ['1025 layers', { ...manifest, layers: Array(1025).fill(layer) }, undefined, /layers/],
    ['annotations that are no text', { ...manifest, annotations: { a: 1 } }, undefined, /annotations\.a/],
  ])('%s', (_name, value, contentType, message) => {
    const input = value instanceof Uint8Array ? value : bytes(value);
    const got = reason(() => parseManifest(input, contentType));
    expect(got).toMatch(/^invalid-argument/);
    expect(got).toMatch(message);
  });

  test('4 MiB is read, one byte more is not', () => {
    const pad = (size: number) => bytes(JSON.stringify(manifest).padEnd(size, ' '));
    expect(parseManifest(pad(4 * 1024 * 1024)).kind).toBe('manifest');
    expect(reason(() => parseManifest(pad(4 * 1024 * 1024 + 1)))).toMatch(/^resource-exhausted/);
  });
});

describe('image configs', () => {
  test('what Docker writes', () => {
    const parsed = parseImageConfig(
      bytes({
        architecture: 'amd64',
        os: 'linux',
        config: { Env: ['A=b'], Cmd: null, Labels: { k: 'v' }, Volumes: { '/data': {} } },
        rootfs: { type: 'layers', diff_ids: [digest('c')] },
        history: [{ created_by: 'x', empty_layer: true }],
      }),
    );
    expect(parsed).toMatchObject({ os: 'linux', diffIds: [digest('c')], config: { Env: ['A=b'], Labels: { k: 'v' } } });
    expect(parsed.config.Cmd).toBeUndefined();
  });

  test('I17: a config that is changed anywhere is refused or understood, and nothing else', () => {
    const config = JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Env: ['A=b'], Volumes: { '/data': {} }, Labels: { k: 'v' } },
      rootfs: { type: 'layers', diff_ids: [digest('c')] },
    });
    const marks = [
      '"',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '\\',
      '0',
      '-',
      'e',
      '\u0000',
      'null',
      '__proto__',
      '\ud800',
      '1e999',
    ];
    for (let at = 0; at <= config.length; at++) {
      for (const mark of marks) {
        for (const text of [
          config.slice(0, at) + mark + config.slice(at),
          config.slice(0, at) + mark + config.slice(at + 1),
          config.slice(0, at),
        ]) {
          const outcome = reason(() => parseImageConfig(bytes(text)));
          if (!/^(none|invalid-argument):?/.test(outcome)) throw new Error(`${outcome}: ${text}`);
        }
      }
    }
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  test.each([
    ['I17: 100 levels', `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`],
    ['I17: 50 MB', ' '.repeat(50_000_000)],
  ])('refused: %s', (_name, text) => {
    expect(reason(() => parseImageConfig(bytes(text)))).toMatch(/^(invalid-argument|resource-exhausted)/);
  });

  test.each([
    ['no rootfs', { os: 'linux' }],
    ['another kind of rootfs', { rootfs: { type: 'windows', diff_ids: [] } }],
    ['a diff id that is none', { rootfs: { type: 'layers', diff_ids: ['x'] } }],
    ['an environment that is no list', { config: { Env: 'A=b' }, rootfs: { type: 'layers', diff_ids: [] } }],
    ['a label that is no text', { config: { Labels: { a: {} } }, rootfs: { type: 'layers', diff_ids: [] } }],
  ])('refused: %s', (_name, value) => {
    expect(reason(() => parseImageConfig(bytes(value)))).toMatch(/^invalid-argument: invalid image config/);
  });
});
