import { createHash } from 'node:crypto';
import { ipText } from '../../runtime/ip-bytes.ts';

const LINK_LOCAL = Buffer.from('fe80000000000000', 'hex');

/**
 * A host's address inside the encrypted underlay, in its shortest form: link-local, with 64 bits of a digest of its public key. So nobody has to
 * give addresses out, and no route leads to them but the device.
 */
export function innerAddress(publicKey: string): string {
  const digest = createHash('sha256').update(`wireguard ${publicKey}`).digest();
  return ipText(Buffer.concat([LINK_LOCAL, digest.subarray(0, 8)]));
}
