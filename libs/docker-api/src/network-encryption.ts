/** Driver option of networks whose packets between hosts are encrypted; docker's. */
export const ENCRYPTED_OPTION = 'encrypted';

/** Values it may have; the first two ask for encryption. */
export const ENCRYPTED_VALUES: readonly string[] = ['', 'true', 'false'];

/** Whatever else than `false` it says: a value nobody knows must not make clear text. */
export function isEncrypted({ options }: { readonly options: Readonly<Record<string, string>> }): boolean {
  return Object.hasOwn(options, ENCRYPTED_OPTION) && options[ENCRYPTED_OPTION] !== 'false';
}
