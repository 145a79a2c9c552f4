import { expect, test } from 'vitest';
import { dnsNames } from './dns-names.ts';

const ID = '0123456789abcdef'.repeat(4);

test.each([
  ['name and short id', 'web', '', [], ['web', '0123456789ab']],
  ['aliases between them, the host name last', 'web', 'www', ['a', 'b'], ['web', 'a', 'b', '0123456789ab', 'www']],
  ['each once', 'web', 'web', ['web', 'a', '0123456789ab'], ['web', 'a', '0123456789ab']],
])('%s', (_what, name, hostname, aliases, wanted) => expect(dnsNames(ID, name, hostname, aliases)).toEqual(wanted));
