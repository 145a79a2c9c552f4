import { createSocket } from 'node:dgram';
import { innerAddress } from './inner-address.ts';

/** The discard protocol's: the rules of the other end let nothing but VXLAN in. */
const PORT = 9;

/**
 * Has the device shake hands with peers it was given just now. Without a session of its own it would do so with its first packet anyway; but
 * the other end may have one from before, and what it sends by that is lost without a word until it misses answers, after 15 s (whitepaper,
 * 6.5). A peer that does not know this host yet will shake hands itself once it does.
 */
export async function shakeHands(device: string, publicKeys: readonly string[]): Promise<void> {
  if (publicKeys.length === 0) return;
  const socket = createSocket('udp6');
  socket.on('error', () => undefined);
  const say = (key: string): Promise<void> =>
    new Promise((resolve) => socket.send('', PORT, `${innerAddress(key)}%${device}`, () => resolve()));
  await Promise.all(publicKeys.map(say));
  socket.close();
}
