import { invalidArgument } from '@atoll/errors';

/** Docker's: binary, whatever the case, `10G` as `10GB` and `10GiB`. */
const SIZE = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?$/i;
const UNITS = 'kmgtp';

export interface StorageOption {
  /** Bytes that the container's own files may take; 0: no limit. */
  readonly limit: bigint;
  /** As given, for inspect. */
  readonly options: Record<string, string>;
}

/** `HostConfig.StorageOpt`. @throws invalid-argument naming the field */
export function storageOptionOf(given: Readonly<Record<string, string>>): StorageOption {
  const sizes: bigint[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (name.toLowerCase() !== 'size') {
      throw invalidArgument(`HostConfig.StorageOpt: unknown option ${name}: only size is known`);
    }
    sizes.push(bytesOf(value));
  }
  if (sizes.length > 1) throw invalidArgument('HostConfig.StorageOpt: size is given more than once');
  return { limit: sizes[0] ?? 0n, options: { ...given } };
}

function bytesOf(text: string): bigint {
  const [, number, unit = ''] = SIZE.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** (unit === '' ? 0 : UNITS.indexOf(unit.toLowerCase()) + 1));
  if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return BigInt(bytes);
  throw invalidArgument(
    `HostConfig.StorageOpt: invalid size "${text.slice(0, 100)}": want 1 to ${Number.MAX_SAFE_INTEGER} bytes as 1024, 512M or 10G (units b, k, m, g, t and p)`,
  );
}
