import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { internal } from '@atoll/errors';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { unlessMissing } from '../../files/missing.ts';

/** The key other hosts know this one by. Its private half is only in the file, for wg(8) to read. */
export interface HostKey {
  readonly publicKey: string;
  readonly privateKeyFile: string;
}

const FILE = 'private-key';
const KEY = /^[A-Za-z0-9+/]{43}=$/;
/** What comes before the 32 bytes of an X25519 key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');

export function isWireGuardKey(text: string): boolean {
  return KEY.test(text);
}

/**
 * Reads the key in a folder, or makes one: the folder has mode 0700, the file 0600, and it survives a power cut before anybody hears
 * of it. Errors: internal when the file holds no key.
 */
export async function ensureHostKey(folder: string): Promise<HostKey> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const privateKeyFile = join(folder, FILE);
  const text = (await unlessMissing(readFile(privateKeyFile, 'utf8')))?.trim();
  if (text === undefined) {
    const { privateKey } = generateKeyPairSync('x25519');
    const raw = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(PKCS8_HEAD.length);
    await writeFileAtomic(privateKeyFile, `${raw.toString('base64')}\n`, { mode: 0o600, durable: true });
    return { publicKey: publicText(privateKey), privateKeyFile };
  }
  if (!isWireGuardKey(text)) {
    throw internal(`${privateKeyFile} does not hold a WireGuard key: remove it, and the next start makes a new one`);
  }
  const der = Buffer.concat([PKCS8_HEAD, Buffer.from(text, 'base64')]);
  return { publicKey: publicText(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })), privateKeyFile };
}

function publicText(privateKey: KeyObject): string {
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url').toString('base64');
}
