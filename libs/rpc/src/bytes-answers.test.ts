import { randomBytes } from 'node:crypto';
import { volumeV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { withBytesAnswers } from './bytes-answers.ts';

const generated = volumeV1.VolumeDataServiceService;
const { pullVolume, readVolume, writeVolume } = withBytesAnswers(generated, 'pullVolume');
const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');

describe('answers of bytes', () => {
  test.each([0, 1, 127, 128, 16_383, 16_384, 65_536, 2_097_151, 2_097_152])(
    '%i: as the generated code has them',
    (size) => {
      const data = randomBytes(size);
      const message = pullVolume.responseSerialize({ data });
      expect(message.equals(generated.pullVolume.responseSerialize({ data }))).toBe(true);
      expect(pullVolume.responseDeserialize(message).data.equals(data)).toBe(true);
      expect(generated.pullVolume.responseDeserialize(message).data.equals(data)).toBe(true);
    },
  );

  test.each([
    ['a field that is not known, before', '10050a0161', 'a'],
    ['a field that is not known, behind', '0a01611005', 'a'],
    ['the field twice: the last one counts', '0a01610a0162', 'b'],
    ['a length in more bytes than it needs', '0a818080800061', 'a'],
    ['nothing', '', ''],
    ['no bytes, said', '0a00', ''],
  ])('%s', (_name, message, want) => {
    expect(pullVolume.responseDeserialize(hex(message)).data.toString()).toBe(want);
    expect(generated.pullVolume.responseDeserialize(hex(message)).data.toString()).toBe(want);
  });

  test.each([
    ['a length behind its end', '0a0561'],
    ['a length without end', '0affffffffffffffffffff61'],
    ['no length', '0a'],
  ])('%s is refused', (_name, message) => {
    expect(() => generated.pullVolume.responseDeserialize(hex(message))).toThrow();
    expect(() => pullVolume.responseDeserialize(hex(message))).toThrow();
  });

  test('methods that are not named are the generated ones', () => {
    expect([readVolume, writeVolume]).toEqual([generated.readVolume, generated.writeVolume]);
  });
});
