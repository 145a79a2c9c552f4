import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { hostConfigObject } from './host-config-view.ts';
import { storageOptionOf } from './storage-option.ts';

describe('StorageOpt', () => {
  test.each([
    ['1', 1n],
    ['1024', 1024n],
    ['1024b', 1024n],
    ['10k', 10n << 10n],
    ['10KB', 10n << 10n],
    ['20m', 20n << 20n],
    ['20 MiB', 20n << 20n],
    ['10G', 10n << 30n],
    ['10gb', 10n << 30n],
    ['1.5G', 3n << 29n],
    ['2t', 2n << 40n],
    ['1P', 1n << 50n],
    ['9007199254740991', 9_007_199_254_740_991n],
  ])('size=%s', (size, bytes) => {
    expect(storageOptionOf({ size })).toEqual({ limit: bytes, options: { size } });
  });

  test('its name in any case, as docker takes it', () => {
    expect(storageOptionOf({ SIZE: '1k' })).toEqual({ limit: 1024n, options: { SIZE: '1k' } });
  });

  test('none', () => {
    expect(storageOptionOf({})).toEqual({ limit: 0n, options: {} });
  });

  test.each([
    ['nothing', ''],
    ['zero', '0'],
    ['zero with a unit', '0G'],
    ['less than a byte', '0.5'],
    ['a negative one', '-1G'],
    ['a sign', '+1G'],
    ['an unknown unit', '10X'],
    ['two units', '10GG'],
    ['a unit alone', 'G'],
    ['an exponent', '1e9'],
    ['a hexadecimal one', '0x10'],
    ['more than a file system has', '8P'],
    ['space around it', ' 10G '],
  ])('a size that is %s', (_name, size) => {
    expect(() => storageOptionOf({ size })).toThrow(`HostConfig.StorageOpt: invalid size "${size}": want 1 to`);
  });

  test.each([
    ['another option', { size: '1G', inodes: '5' }, 'HostConfig.StorageOpt: unknown option inodes: only size is known'],
    ['two sizes', { size: '1G', Size: '2G' }, 'HostConfig.StorageOpt: size is given more than once'],
  ])('%s', (_name, options, message) => {
    expect(() => storageOptionOf(options as Record<string, string>)).toThrow(message);
  });

  test.each([
    ['as it was given', { size: '10G' }, { size: '10G' }],
    ['not at all without one', {}, undefined],
  ])('inspect shows it %s', (_name, storageOpt, shown) => {
    const spec = containerV1.ContainerSpec.fromPartial({ storageOpt: storageOpt as Record<string, string> });
    const record = containerV1.ContainerRecord.fromPartial({ spec });
    expect(hostConfigObject({ record, spec, status: undefined, node: undefined })['StorageOpt']).toEqual(shown);
  });
});
