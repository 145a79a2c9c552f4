import { describe, expect, test } from 'vitest';
import { contains, formatBlock, formatIp, overlaps, parseCidr, parseIp } from './ip-address.ts';

describe('addresses', () => {
  test.each([
    ['IPv4', '10.216.0.2', '10.216.0.2'],
    ['the highest IPv4', '255.255.255.255', '255.255.255.255'],
    ['IPv6', 'FD00:0:0:1::0002', 'fd00:0:0:1::2'],
    ['all zeros', '0:0:0:0:0:0:0:0', '::'],
    ['zeros in front', '::1', '::1'],
    ['zeros at the end', 'fe80::', 'fe80::'],
    ['two runs: the first of the longest is shortened', '1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['one zero group stays', '1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['IPv4 inside IPv6', '::ffff:10.0.0.1', '::ffff:a00:1'],
  ])('%s', (_name, text, canonical) => {
    const address = parseIp(text);
    expect(address && formatIp(address)).toBe(canonical);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.1 ',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    'x',
    '10.0.0.0/8',
  ])('%j is none', (text) => expect(parseIp(text)).toBeUndefined());
});

describe('blocks', () => {
  test.each([
    ['10.1.2.3/24', '10.1.2.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.0.0.1/32', '10.0.0.1/32'],
    ['fd00:1:2:3::5/64', 'fd00:1:2:3::/64'],
  ])('%s is in %s', (text, block) => {
    const parsed = parseCidr(text);
    expect(parsed && formatBlock(parsed.block)).toBe(block);
    expect(parsed && contains(parsed.block, parsed.address)).toBe(true);
  });

  test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '/8', 'fd00::/129', '10.0.0.0/8/8', '10.0.0.0/-1'])(
    '%j is none',
    (text) => expect(parseCidr(text)).toBeUndefined(),
  );

  test.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.0.0/16', '10.0.0.0/8', true],
    ['10.0.0.0/24', '10.0.1.0/24', false],
    ['10.0.0.0/24', 'fd00::/64', false],
    ['::/0', '10.0.0.0/8', false],
  ])('%s and %s overlap: %s', (a, b, wanted) => {
    const [one, two] = [parseCidr(a), parseCidr(b)];
    expect(one && two && overlaps(one.block, two.block)).toBe(wanted);
  });
});
